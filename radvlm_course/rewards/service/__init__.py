"""The reward service: rewards scored in another process, on another machine if need be.

Several trainers, each with its GPUs full, share the scorers' models in one place::

    python -m radvlm_course serve-rewards --rewards radcliq,bertscore --port 9400
    get_reward("remote", url="http://127.0.0.1:9400", reward="radcliq")

:mod:`.wire` has the messages, :mod:`.batching` joins the pairs of many callers into one call of the scorer,
:mod:`.server` is the HTTP side, :mod:`.running` the process around it, :mod:`.transport` sends with retries and
:mod:`.client` is the reward that a trainer uses. Scoring is pure (the same pair has the same score, always), so
a request may be sent again after any failure: it is never wrong, only wasted, and mostly found in the cache.

Left out: TLS (put a proxy in front), several processes behind one port (start several services and give the
client all their addresses).
"""
