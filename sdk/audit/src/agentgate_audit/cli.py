"""The command `agentgate-audit`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import commands
from ._version import VERSION
from .errors import Broken, Unusable

EXIT_STATUS = """exit status:
  0  everything holds
  1  something does not hold; one line says what, with the index of the first bad entry
  2  the input cannot be checked: not an export, an unreadable file, a bad key"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except Broken as error:
        print(error)
        return 1
    except Unusable as error:
        print(f"agentgate-audit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agentgate-audit",
        description="Check AgentGate's log without trusting the server.",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"agentgate-audit {VERSION}")
    add = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    _add_verify(add)
    _add_lineage(add)
    _add_proof(add)
    _add_receipt(add)
    _add_consistency(add)
    _add_archive(add)
    _add_witness(add)
    return parser


def _add_verify(add: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add.add_parser("verify", help="check an export: nothing is changed, missing or out of order")
    parser.add_argument("file", type=Path, metavar="FILE", help="the export")
    _add_key(parser)
    _repeat(
        parser,
        "--witness",
        "VKEY",
        "require a cosignature by this witness: its verifier key, or a file with it",
    )
    _repeat(parser, "--limit", "N/SECONDS", "require at most N allowed decisions in every window of SECONDS")
    _repeat(
        parser,
        "--spend",
        "AMOUNT/CURRENCY/SECONDS",
        "require at most AMOUNT spent in every window of SECONDS",
    )
    parser.add_argument(
        "--consistent-with",
        type=Path,
        metavar="CHECKPOINT",
        help="require that the log extends this older checkpoint",
    )
    _add_log(parser)
    parser.set_defaults(run=commands.verify)


def _add_lineage(add: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add.add_parser("lineage", help="say on whose hand-over and under which consent an agent acted")
    parser.add_argument("file", type=Path, metavar="FILE", help="an export, which must hold")
    _add_key(parser)
    parser.add_argument("--entry", required=True, metavar="LOG_ID", help="the ID of the entry, such as log_...")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=commands.lineage)


def _add_proof(add: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add.add_parser("proof", help="check the proof of one entry")
    parser.add_argument("file", type=Path, metavar="FILE", help="the answer of GET /audit/LOG_ID/proof")
    _add_key(parser)
    parser.set_defaults(run=commands.proof)


def _add_receipt(add: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add.add_parser("receipt", help="check the receipt of a decision")
    parser.add_argument("file", type=Path, metavar="FILE", help="the receipt, or a decision in JSON that contains it")
    _add_key(parser)
    parser.add_argument("--question", type=Path, metavar="FILE", help="require that it answers this body of verify")
    parser.add_argument("--export", type=Path, metavar="FILE", help="require that this export has its entry")
    parser.set_defaults(run=commands.receipt)


def _add_consistency(add: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add.add_parser("consistency", help="check that a later checkpoint extends an earlier one")
    parser.add_argument("old", type=Path, metavar="OLD", help="the earlier checkpoint")
    parser.add_argument("new", type=Path, metavar="NEW", help="the later checkpoint")
    _add_key(parser)
    _add_log(parser)
    parser.set_defaults(run=commands.consistency)


def _add_archive(add: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add.add_parser("archive", help="check an archived month: no entry is changed or missing")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the month's folder, such as 202601")
    _add_key(parser)
    parser.set_defaults(run=commands.archive)


def _add_witness(add: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add.add_parser("witness", help="run a witness that cosigns the checkpoints of logs")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where to serve POST /add-checkpoint")
    parser.add_argument(
        "--state", required=True, type=Path, metavar="FILE", help="key and progress; created if missing"
    )
    _repeat(parser, "--log", "VKEY", "a log to witness: its verifier key, or a file with it", required=True)
    parser.add_argument("--name", help="name of a new witness (default: HOSTNAME/witness)")
    parser.set_defaults(run=commands.witness)


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", required=True, help="the log's verifier key, or a file with it")


def _add_log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", metavar="URL_OR_FOLDER", help="where the log's tiles are, to prove consistency")


def _repeat(parser: argparse.ArgumentParser, name: str, metavar: str, text: str, required: bool = False) -> None:
    text = f"{text} (can be repeated)"
    parser.add_argument(name, action="append", default=[], metavar=metavar, help=text, required=required)


if __name__ == "__main__":
    sys.exit(main())
