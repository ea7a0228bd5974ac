"""Claims of the paper that no module of the packages is about, one test for each."""
