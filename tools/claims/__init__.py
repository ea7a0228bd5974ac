"""The ledger of the paper's claims: reading it, and checking what its entries name."""
