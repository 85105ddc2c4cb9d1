"""A course whose stages do what their names say; a file of its own, so that a spawned process can import it."""

import os
import time

import radvlm_course.stages as stages


class Told(stages.Course):
    def ensure(self, stage):
        folder = self.run.stage_folder(stage)
        print(f"{stage} begins")
        (folder / "process").write_text(str(os.getpid()))
        if stage == "fails":
            raise ValueError("no films")
        if stage == "waits":
            time.sleep(60)
        if stage.startswith("meets"):  # done only if the other runs at the same time
            other = self.run.folder / ("meets_b" if stage == "meets_a" else "meets_a") / "process"
            deadline = time.monotonic() + 60
            while not other.exists():
                assert time.monotonic() < deadline, "the other stage never began"
                time.sleep(0.02)
        self.run.finish(stage, {"seconds": 0.0})
        return folder
