"""The shared vocabulary: ids, canonical bytes, signatures, messages, seams, parameters. Pure."""
