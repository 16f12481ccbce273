"""How well calls are handled: scorecards, evaluations, and what people learn from them."""
