"""Sections of a recipe that every run has: its data, and how its arms are graded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from smallsteps.config import Count, Name, Seed, Settings
from smallsteps.generation.writer_settings import WriterSettings
from smallsteps.students.settings import BUNDLED


class DataSettings(Settings):
    """Where chains come from and how they are split."""

    only_with: ClassVar[Mapping[str, tuple[str, str]]] = dict.fromkeys(
        ("count", "difficulty", "validation_count", "test_count"), ("chains", BUNDLED)
    )

    chains: Name | Annotated[list[Name], Field(min_length=1)] = BUNDLED
    """JSONL (CSV, Parquet, hub:NAME with the extra `hub`) of id, question, rationale, answer;
    `bundled` makes them."""
    task: Name = "numbers"
    """How questions are put and answers graded; see `smallsteps.tasks.TASKS`."""
    language: str | None = None
    """The language of the chains: a code of `smallsteps.tasks.languages` (zh, de, …). None: the
    task's, else guessed."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our field name → the file's, where they differ."""
    count: int = Field(1000, ge=10, le=1_000_000)
    """Bundled data only: training chains."""
    difficulty: Literal["easy", "medium", "hard"] = "medium"
    """Bundled data only."""
    validation_count: Count = 200
    """Bundled data only: validation chains."""
    test_count: Count = 500
    """Bundled data only: test problems."""
    validation: Name | None = None
    """A file of validation chains; None: a tenth of `chains`."""
    test: Name | None = None
    """A file of test problems; None: a tenth of `chains`."""
    also_test: dict[str, Name] = Field(default_factory=dict)
    """Further test sets, task → file, graded beside the main one. Of several sets of one task each
    has a name behind the task: `gsm8k/hard`."""
    feedback: Name | Annotated[list[Name], Field(min_length=1)] | None = None
    """What people said of chains of training questions, one file or several: edited chains and
    those judged right are learnt from, rejected ones are negatives of tailored learning."""
    limit: int | None = Field(None, ge=1, examples=[1000])
    """Read only so many chains."""
    split_seed: Seed = 0
    """Seed of the 80/10/10 split by question, the same for every arm and training seed."""

    def effects(self) -> dict[str, Any]:
        """Without `feedback` where none is named: runs from before it was a key keep their
        digest."""
        content = super().effects()
        if self.feedback is None:
            del content["feedback"]
        return content


class EvaluationSettings(WriterSettings):
    """How arms are graded."""

    batch_size: Count = 128
    dtype: Literal["float32", "bfloat16"] = "float32"
    checkpoint: Literal["metric", "validation_loss", "train_loss", "bleu"] = "metric"
    """Which checkpoint of a run is graded: best task metric on validation (the honest choice)."""
    segment_bleu: bool = False
    """Measure at each evaluation the BLEU of segments written on gold prefixes (the authors'
    validation figure)."""
    paper_protocol: bool = False
    """Also grade the three checkpoints of the paper on the test set and report the best of them."""
    bootstrap: int = Field(10_000, ge=100, le=10_000_000)
    """Resamples behind each bootstrap interval."""
    why_problems: int = Field(200, ge=0)
    """Test problems with a gold chain on which each student continues gold prefixes, so that the
    page can show how errors accumulate; 0: none."""
    stop_repetition: bool = False
    """End chains that run in a circle, in all arms alike, exams included."""
    engine: Literal["local", "vllm"] = "local"
    """What writes the answers of causal students, exams included: this process, or a vLLM server
    that is started with their weights. Measurements during a training are local."""
