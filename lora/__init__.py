"""LoRA: base loading, adapters, the canonical optimiser, local training, merge, an engine."""
