"""The store that many machines share: Redis ≥ 7.0 or Valkey ≥ 8."""
