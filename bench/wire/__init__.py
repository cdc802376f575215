"""Packets: captures read, requests followed through them."""
