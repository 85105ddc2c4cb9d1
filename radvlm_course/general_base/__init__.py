"""The general-domain base: a tiny Qwen3-VL that can see and write, and has never seen a radiograph.

The paper compares RL from RadVLM (fine-tuned on radiographs) with RL from Qwen3-VL (pre-trained on pictures of
everything). On the laptop the second part is played by this model. It has the architecture of the laptop profile
(``TinySettings`` of ``laptop.yaml``, 120 px), and it was trained on:

- **pictures**: grey-scale shapes drawn on the spot (:mod:`.shapes`), with exact boxes. First the vision tower alone
  (:mod:`radvlm_course.training.vision_pretraining`), then the language model on questions of the course's form,
  ``Where is the disc?`` with boxes as answers, and ``Describe the picture.`` with a caption;
- **radiology prose that is about no picture**: asked ``Write a report.`` about a picture of pure noise, it answers
  with the report of some phantom. Several different reports go with each noise picture, so that nothing in a
  report can be learned from what is seen. Like a large model that read papers, it can write like a radiologist, and
  like Qwen3-VL it makes up what it writes;
- **thoughts**, in its own domain only: with `` /think`` it first reads the picture half by half and names the
  shapes, and then answers. It knows nothing of the search pattern that the course's cold start teaches. So both modes
  exist, as with Qwen3-VL-Instruct and -Thinking, which here are one model.

The shares are in :class:`.corpus.Amounts`. Its tokenizer was trained on its own text and on the course's (reports,
questions, thoughts), because Qwen's vocabulary has the words of radiology too.

It has never seen a phantom's picture, box or finding together. The films whose reports it read are drawn from seeds
that no corpus uses.

::

    shapes    what is in a picture, and the picture
    corpus    pictures on disk, studies, examples
    making    vision pre-training, fine-tuning, the record of it
    shipped   the finished model and its record (``model/`` with ``made.json``)

``python -m radvlm_course general-base --store`` makes it again, in 16 minutes of one core; its record has the command,
the seed, the hash of every file, and how it does on pictures that it was not trained on.
"""
