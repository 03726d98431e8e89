"""What goes over the network: one room per protocol, and the HTTP they share."""
