"""Postings: lists that hang in the village, their public page, and objections to them."""
