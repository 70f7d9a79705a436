"""Verdict on picks that are there already, whatever program made them."""

from vitreous.workflows.judge.files import judge, judge_file, rerender_judgement, resume_judging
from vitreous.workflows.judge.request import JudgeRequest

__all__ = ["JudgeRequest", "judge", "judge_file", "rerender_judgement", "resume_judging"]
