"""Legal holds: what a court or an authority may ask for is kept, whatever else is due."""
