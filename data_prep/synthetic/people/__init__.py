"""People who do not exist: their properties, and how their heads are painted."""
