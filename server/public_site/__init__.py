"""The public site: plain HTML pages that the QR codes on posters open."""
