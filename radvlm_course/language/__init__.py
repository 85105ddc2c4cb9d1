"""Training texts that no dataset has, written by a language model: reports about one film only, and conversations.

Any OpenAI-compatible endpoint will do; a model served on one's own machine is the documented way, since text of
credentialed datasets must not leave it (``docs/data_with_a_language_model.md``). What a model writes is checked by
rules, asked for again with the reason, and kept one file a study, so that a killed run loses and repeats nothing.

- ``report_rewriting``, ``conversations``: what is asked of the model, and when an answer is accepted.
- ``priors``: does a text refer to an earlier study? The rules are data, ``prior_references.yaml``.
- ``prompts``: the texts that the model is given, files of their own.
- ``endpoint``: where a model is served and which dataset's text may be sent there.
- ``client``, ``jobs``, ``running``, ``store``: one call, one study, all studies, and the answers on disk.
- ``estimate``: calls, tokens, cost and time before the first call; ``command``: what both command lines share.

``data_scripts/rewrite_reports.py`` and ``data_scripts/write_conversations.py`` are the commands. All but ``priors``,
``prompts`` and ``endpoint`` need the extra "data" of this package. Nothing is imported here.
"""
