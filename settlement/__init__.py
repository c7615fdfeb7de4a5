"""Money: contracts and their models, claims and vouchers, chain client and chain in a box."""
