"""Options of search: the weights of each kind of evidence and the ranges that bring it to [0, 1]."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SearchConfig(BaseModel):
    """Weights and ranges of search. The weights of one kind of passage sum to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text_dense_weight: float = Field(0.3, ge=0, le=1, description="Cosine's part in a text's score.")
    text_lexical_weight: float = Field(0.7, ge=0, le=1, description="BM25's part: the encoder is small.")
    text_cosine_range: tuple[float, float] = Field(
        (0.1, 0.7), description="Cosines of unrelated and of matching texts: the ramp from 0 to 1."
    )
    sentence_share: float = Field(0.5, ge=0, le=1, description="The best sentence's part in a long text's cosine.")
    context_decay: float = Field(0.75, ge=0, lt=1, description="What is left of a word's worth one text away.")
    context_dense_decay: float = Field(0.5, ge=0, lt=1, description="The weight of a cosine one text away.")
    context_dense_share: float = Field(0.5, ge=0, le=1, description="Part of the cosine that is taken from around.")
    context_reach: int = Field(8, ge=0, description="Texts before and after that lend what they hold.")
    context_gap_s: float = Field(300.0, gt=0, description="A silence this long ends what belongs together.")
    pair_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="What two words as they stand in the question count, as a phrase, beside 1 for each.",
    )
    role_share: float = Field(
        0.3, ge=0, le=1, description="Part of its score that a message loses when the query means the other role's."
    )
    picture_dense_weight: float = Field(0.35, ge=0, le=1, description="Cosine's part in a picture's score.")
    picture_label_weight: float = Field(0.65, ge=0, le=1, description="The names' part in a picture's score.")
    picture_cosine_range: tuple[float, float] = Field(
        (0.2, 0.5), description="Cosines of unrelated and of matching pictures."
    )
    label_cosine_range: tuple[float, float] = Field(
        (0.35, 0.75), description="Cosines of unrelated and of equal names."
    )
    label_temperature: float = Field(0.05, gt=0, description="How fast names less alike than the best lose worth.")
    label_min_probability: float = Field(0.01, gt=0, lt=1, description="p_min: a name this improbable counts nothing.")
    exact_rows: int = Field(
        50_000,
        ge=0,
        description="Up to so many texts, or pictures, each is compared with the question; beyond, a shortlist is.",
    )
    shortlist_rows: int = Field(
        2_000, ge=1, description="Rows in that shortlist by sign codes, and by words or names; an eighth is trusted."
    )
    max_postings: int = Field(
        20_000,
        ge=0,
        description="Rows to read for the rarer words, for phrases, for names; other words add to those only.",
    )
    look_cosine_range: tuple[float, float] = Field(
        (0.6, 0.9), description="Cosines of pictures of other things and of the same thing: for what was taught."
    )
    sound_cosine_range: tuple[float, float] = Field(
        (0.78, 0.88), description="The same of sounds; a probability of 0.4 is best by F1 (benchmarks/sounds.py)."
    )
    run_share: float = Field(0.5, gt=0, le=1, description="A run of pictures keeps above this share of its peak.")
    copy_share: float = Field(
        0.5, ge=0, le=1, description="What a passage is worth that says the same as one before it; 1: as much."
    )
    writing_gap_s: float = Field(2.0, ge=0, description="Equal writing this close together is one block.")
    arousal_weight: float = Field(
        0.3, ge=0, description="How a voice's nearness to the asked arousal counts, beside 1 for what it said."
    )
    neighbour_share: float = Field(
        0.3, ge=0, lt=1, description="Part of k kept for neighbours, when they are asked for (EM-LLM: 0.3)."
    )
