"""Auditing without anybody's word: the log verified step by step, and what is asked of it answered from the verified lines."""
