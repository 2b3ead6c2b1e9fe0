"""Cases: an application from the day it is made through decision, payment and end."""
