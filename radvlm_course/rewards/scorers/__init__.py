"""What the clinical rewards measure with: RadGraph, CheXbert and BERTScore, run on many texts at once.

The packages score one pair at a time and read the shared reference again for every rollout. Here a *scorer* turns
texts into features (an annotation, labels with an embedding, token vectors): each distinct text of a call once, in
batches sorted by length, and references from a bounded cache. Comparing two texts is then cheap.

``radgraph`` and ``dygie`` annotate facts, ``chexbert`` labels fourteen observations, ``bertscore`` compares token
vectors; ``features`` and ``cache`` remember references; ``batching`` and ``texts`` are shared by all. The rewards of
these names, one directory up, add the reward contract.
"""
