"""Postings: lists posted in the village, their public pages, and objections to them."""
