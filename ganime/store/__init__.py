"""The workspace: originals, manifests, labels. The store is the only memory."""
