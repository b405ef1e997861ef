"""The seven stages, one file each: crawl, dedupe, pad, classify, curate, train, evaluate."""
