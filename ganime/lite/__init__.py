"""A generator without torch: packages read, latents drawn, images made by onnxruntime.

Nothing here imports torch, so that a small machine can draw: numpy, pydantic, safetensors and
onnxruntime are all it takes.
"""
