"""PhantomCXR: synthetic chest radiographs with exact boxes and reports, made on the spot.

They make the course run anywhere, with no download and no patient's data. They look like radiographs at a glance and
are nothing more: no result on phantoms says anything about the diagnosis of patients.

- :func:`make_phantom` makes one; ``corpus.write_corpus`` writes many to disk.
- ``patients``, ``anatomy``, ``findings``, ``shapes``: the geometry, from which all boxes come.
- ``rendering``, ``skeleton``: the picture.
- ``reports``: the grammar; ``labeller``: reads its reports back.
- ``python -m radvlm_course.phantoms`` prints the statistics of docs/phantoms.md.
"""

from radvlm_course.phantoms.anatomy import STRUCTURES
from radvlm_course.phantoms.film import Attribute, Phantom, make_phantom
from radvlm_course.phantoms.findings import FINDINGS
from radvlm_course.phantoms.labeller import label_report, report_findings

__all__ = ["FINDINGS", "STRUCTURES", "Attribute", "Phantom", "label_report", "make_phantom", "report_findings"]
