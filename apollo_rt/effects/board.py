"""Boards: Pedalboard's own plugins, VST3 and AU plugins and Apollo RT in one chain, aligned to the sample.

    board = Board([HighpassFilter(30), ApolloEffect(), Mix([Chain([ApolloEffect()]), Gain(-6)]), Limiter()])
    out = board(audio, sample_rate)

Each is a list of its members as Python's own lists are, and an `Effect`. Pedalboard need not be installed for a board
that holds none of its plugins.
"""

from collections.abc import Callable, Iterable, Iterator, MutableSequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, SupportsIndex, overload

from apollo_rt.effects.effect import Effect, Samples
from apollo_rt.effects.native_run import NativeRun, lock_of
from apollo_rt.effects.nodes import EffectNode, Node, Parallel, Series
from apollo_rt.plugins.pedalboard_plugins import is_native, why_not_streamed


class _Container(Effect, MutableSequence[Any]):
    """A list of members that plays; changing the list, or one inside it, ends the stream."""

    __slots__ = ("_members", "_node", "_planned")

    def __init__(self, members: Iterable[Any] = ()) -> None:
        """Take the members."""
        super().__init__()
        self._members: list[Any] = []
        self._node: Node | None = None
        self._planned: list[Any] = []
        self.extend(members)

    # --- the list ----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._members)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> MutableSequence[Any]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        return self._members[index]

    def __setitem__(self, index: SupportsIndex | slice, member: Any) -> None:
        members = self._members.copy()
        members[index] = member
        self._take(members)

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        members = self._members.copy()
        del members[index]
        self._take(members)

    def insert(self, index: SupportsIndex, value: Any) -> None:
        """Put a member before another.

        Raises:
            TypeError: it is no effect.
            ValueError: it is an instrument, or this is inside it.
        """
        self._take([*self._members[: slice(index).stop], value, *self._members[slice(index, None)]])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._members)

    def __contains__(self, member: object) -> bool:
        return any(member is other for other in self._members)

    def __repr__(self) -> str:
        """Name and members of the chain."""
        count = f"{len(self)} plugin{'' if len(self) == 1 else 's'}"
        return f"<apollo_rt.{type(self).__name__} with {count}: {self._members!r} at {id(self):#x}>"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """For copy and pickle: its members; those of Pedalboard's can't be pickled, and say so."""
        return type(self), (self._members.copy(),)

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Index of a member.

        Raises:
            ValueError: it isn't there.
        """
        for place in range(len(self))[slice(start, stop)]:
            if self._members[place] is value:
                return place
        raise ValueError(f"{value!r} is not in {self!r}")

    def reverse(self) -> None:
        """Turn the order round."""
        self._take(self._members[::-1])

    def _take(self, members: list[Any]) -> None:
        for member in members:
            if member is not None:
                _check_member(member)
            if member is self or any(inner is self for inner in _all_inside(member)):
                raise ValueError(f"a {type(self).__name__} can't be put inside itself")
        self._members = members

    # --- the effect --------------------------------------------------------------------------------------------------

    def _whole(self, audio: Samples, sample_rate: float, buffer_size: int) -> Samples:
        """As a stream that is cut at its ends, or with a plugin that can't be one, by a call of each member."""
        members = _all_inside(self)
        if not any(map(why_not_streamed, members)):
            return super()._whole(audio, sample_rate, buffer_size)
        _check_once(members)
        self.reset()
        try:
            return self._new_node().whole(audio, sample_rate, buffer_size)
        finally:
            self.reset()

    def _start(self, sample_rate: float, n_channels: int) -> int:
        self._planned = _all_inside(self)
        _check_once(self._planned)
        _check_streamed(self._planned)
        self._node = self._new_node()
        return self._node.start(sample_rate, n_channels)

    def _push(self, block: Samples) -> Samples:
        assert self._node is not None
        return self._node.push(block)

    def _forget(self) -> None:
        if self._node is not None:
            self._node.forget()

    def _has_changed(self) -> bool:
        members = _all_inside(self)
        return len(members) != len(self._planned) or any(
            one is not other for one, other in zip(members, self._planned, strict=True)
        )

    def _held(self) -> ExitStack:
        """All members too, for boards may share them; in the same order everywhere, so that nobody waits for ever."""
        locks = {id(lock): lock for lock in (self._lock, *map(_lock_of, _all_inside(self)))}
        with ExitStack() as held:
            for _, lock in sorted(locks.items()):
                held.enter_context(lock)
            return held.pop_all()

    def _new_node(self) -> Node:
        raise NotImplementedError


class Chain(_Container):
    """Effects one after the other.

    Args:
        members: Pedalboard's plugins, VST3 and AU plugins, `ApolloEffect`s, `Chain`s, `Mix`es and `Board`s; None does
            nothing, as an empty place.

    Raises:
        TypeError: a member is no effect.
        ValueError: a member is an instrument; when it plays: a member is in it twice.
    """

    __slots__ = ()

    def _new_node(self) -> Node:
        return Series(_series(self))


class Board(Chain):
    """A chain at the top, as `pedalboard.Pedalboard` is, for effects of ours too.

    Each run of Pedalboard's plugins is one real `pedalboard.Pedalboard`. `latency_samples` is the sum of all that the
    members hold back; with `reset=True` it is taken out, and with `reset=False` it stays the same for the stream.

    Args:
        members: see `Chain`.
    """

    __slots__ = ()


class Mix(_Container):
    """Effects side by side, their outputs added; all of them as late as the latest, so that they stay aligned.

    Args:
        members: see `Chain`.

    Raises:
        TypeError: a member is no effect.
        ValueError: a member is an instrument; when it plays: a member is in it twice.
    """

    __slots__ = ()

    def _new_node(self) -> Node:
        return Parallel([Series(_series([member])) for member in self])


def _series(members: Iterable[Any]) -> list[Node]:
    """Nodes for members in a row; nested chains are spread out, so that native plugins stand in long runs."""
    nodes: list[Node] = []
    run: list[Any] = []
    for member in _flat(members):
        if is_native(member):
            run.append(member)
            continue
        if run:
            nodes.append(NativeRun(run))
        run = []
        nodes.append(member._new_node() if isinstance(member, _Container) else EffectNode(member))
    return [*nodes, *([NativeRun(run)] if run else [])]


def _flat(members: Iterable[Any]) -> Iterator[Any]:
    for member in members:
        if isinstance(member, Chain):
            yield from _flat(member)
        elif member is not None:
            yield member


def _check_member(member: Any) -> None:
    if not (isinstance(member, Effect) or is_native(member)):
        raise TypeError(
            "a member must be a plugin of pedalboard's, an ApolloEffect, a Board, a Chain or a Mix, "
            f"got {member if isinstance(member, type) else type(member)}"
        )
    if member.is_instrument:
        raise ValueError(f"a member must be an effect, got the instrument {member!r}")


def _all_inside(container: Any) -> list[Any]:
    """All members of a container and what is in them, Pedalboard's own containers included."""
    if not isinstance(container, _Container) and not (is_native(container) and hasattr(container, "__iter__")):
        return []
    members = [member for member in container if member is not None]
    return [inner for member in members for inner in (member, *_all_inside(member))]


def _lock_of(member: Any) -> AbstractContextManager[Any]:
    return member._lock if isinstance(member, Effect) else lock_of(member)


def _check_streamed(members: list[Any]) -> None:
    """Some plugins can't be part of a stream, and are right in a call of the whole."""
    for member in members:
        if reason := why_not_streamed(member):
            raise ValueError(
                f"{type(member).__name__} can't stream: block by block it {reason}; "
                "call with reset=True and all of the sound, or take it out"
            )


def _check_once(members: list[Any]) -> None:
    """Each member has one stream, and so one place."""
    seen: set[int] = set()
    for member in members:
        if id(member) in seen:
            raise ValueError(f"a member must be in one place only, got this one twice: {member!r}; make another one")
        seen.add(id(member))
