"""The practice booru: draws its own corpus from a seed and serves it by a real site's protocol."""
