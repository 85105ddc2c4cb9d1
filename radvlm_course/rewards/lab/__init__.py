"""The reward lab: what each reward pays for, and how a policy would game it. No model is trained here.

- ``candidates``: reports that somebody might write instead of a phantom's reference, each wrong or right in one way.
- ``strategies``: an honest, imperfect reader, and ways to earn more than by honest reading.
- ``survey``: both under every reward, for one film and over many.
- ``shortening``: why a reward of facts shortens reports, exactly and measured.
- ``boxes``: the same for grounding: box answers by name, and strategies.
- ``published``: what others measured with the rewards that run a model, for machines without their weights.
"""
