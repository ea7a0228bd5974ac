"""Results that the paper reports, and our recorded runs."""
