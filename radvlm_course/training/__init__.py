"""Training: SFT and GRPO with TRL's trainers, and GRPO's arithmetic by hand for the notebooks.

``sft`` and ``grpo`` configure TRL (collation, rewards, callbacks are ours, the loops are not);
``grpo_math`` derives the loss that TRL computes, to be read rather than trained with. Importing
this package imports none of them, so that no torch is loaded by accident.
"""
