"""The fast path of training: decoder layers of the Llama kind with the backward pass written by hand for a frozen base."""
