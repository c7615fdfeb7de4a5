"""Pure-integer models of every contract: the simulated chain's machine and the bytecode's oracle.

Each model has its contract's function names, custom error names, event names and order of checks; a
differential test holds it to the deployed bytecode. Writing functions take the caller first.
"""
