"""Rules that were tried beyond those of the product: experiments, which nothing but their table uses."""
