"""People who do not exist: who they are, and how their heads are painted."""
