"""Mathematics that knows no noun of ours."""
