"""The same node in other worlds: seeded simulation, real processes, scenarios and their checkers."""
