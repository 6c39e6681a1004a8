"""Bills of the past by other prices, before these count."""
