"""Personal information law: privacy notice and consent, requests of people about their data, what is kept how long."""
