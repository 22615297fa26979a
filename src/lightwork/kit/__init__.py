"""kit: what the standard library forgot. Its law: stdlib only, no noun of ours, no state kept between calls."""
