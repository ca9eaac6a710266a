// Checks AgentGate's log with the Go implementations of signed notes and Merkle proofs that other logs use.
//
//	interop KEY checkpoint FILE...            each file is a checkpoint
//	interop KEY cosigned WITNESS FILE...      each file is a checkpoint that the witness cosigned
//	interop KEY proof FILE...                 each file is an answer of GET /audit/:id/proof
//	interop KEY consistency OLD NEW PROOF     two checkpoints, and hashes in Base64, one per line
//
// KEY and WITNESS are files with a verifier key. Prints "size root" of the last checkpoint, and exits with 1 if
// anything does not hold.
package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

type checkpoint struct {
	size uint64
	root []byte
}

type entryProof struct {
	Index      uint64   `json:"index"`
	Entry      string   `json:"entry"`
	Proof      [][]byte `json:"proof"`
	Checkpoint string   `json:"checkpoint"`
}

func main() {
	last, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d %s\n", last.size, base64.StdEncoding.EncodeToString(last.root))
}

func run(arguments []string) (last checkpoint, err error) {
	if len(arguments) < 3 {
		return last, errors.New("usage: interop KEY checkpoint|cosigned|proof|consistency FILE...")
	}
	key, err := note.NewVerifier(strings.TrimSpace(string(read(arguments[0]))))
	if err != nil {
		return last, err
	}
	files := arguments[2:]
	switch arguments[1] {
	case "cosigned":
		witness, err := newWitness(strings.TrimSpace(string(read(files[0]))))
		if err != nil {
			return last, err
		}
		return each(files[1:], func(data []byte) (checkpoint, error) { return open(data, key, witness) })
	case "checkpoint":
		return each(files, func(data []byte) (checkpoint, error) { return open(data, key) })
	case "proof":
		return each(files, func(data []byte) (checkpoint, error) { return checkEntry(data, key) })
	case "consistency":
		return checkConsistency(files, key)
	}
	return last, errors.New("unknown command")
}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return data
}

func each(files []string, check func([]byte) (checkpoint, error)) (last checkpoint, err error) {
	for _, path := range files {
		if last, err = check(read(path)); err != nil {
			return last, fmt.Errorf("%s: %w", path, err)
		}
	}
	return last, nil
}

// open requires a signature by every verifier.
func open(data []byte, verifiers ...note.Verifier) (found checkpoint, err error) {
	opened, err := note.Open(data, note.VerifierList(verifiers...))
	if err != nil {
		return found, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(opened.Sigs) != len(verifiers) || len(lines) < 4 || lines[0] != verifiers[0].Name() {
		return found, errors.New("not a checkpoint with all signatures")
	}
	if found.size, err = strconv.ParseUint(lines[1], 10, 64); err != nil {
		return found, err
	}
	found.root, err = base64.StdEncoding.Strict().DecodeString(lines[2])
	return found, err
}

func checkEntry(data []byte, key note.Verifier) (found checkpoint, err error) {
	var entry entryProof
	if err = json.Unmarshal(data, &entry); err != nil {
		return found, err
	}
	if found, err = open([]byte(entry.Checkpoint), key); err != nil {
		return found, err
	}
	leaf := rfc6962.DefaultHasher.HashLeaf([]byte(entry.Entry))
	return found, proof.VerifyInclusion(
		rfc6962.DefaultHasher, entry.Index, found.size, leaf, entry.Proof, found.root)
}

func checkConsistency(files []string, key note.Verifier) (newer checkpoint, err error) {
	if len(files) != 3 {
		return newer, errors.New("consistency needs OLD NEW PROOF")
	}
	older, err := open(read(files[0]), key)
	if err != nil {
		return newer, err
	}
	if newer, err = open(read(files[1]), key); err != nil {
		return newer, err
	}
	var hashes [][]byte
	for _, line := range strings.Fields(string(read(files[2]))) {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil {
			return newer, err
		}
		hashes = append(hashes, hash)
	}
	return newer, proof.VerifyConsistency(
		rfc6962.DefaultHasher, older.size, newer.size, hashes, older.root, newer.root)
}

// A witness verifies cosignature/v1, which x/mod leaves to its callers.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.hash }

func (w witness) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	var message bytes.Buffer
	fmt.Fprintf(&message, "cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(w.key, message.Bytes(), signature[8:])
}

func newWitness(text string) (note.Verifier, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a verifier key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		return nil, errors.New("not a witness's key")
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	return witness{parts[0], uint32(hash), key[1:]}, err
}
