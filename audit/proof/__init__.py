"""What others check without the server: proofs, exports, the evidence of a connection."""
