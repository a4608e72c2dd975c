"The run store: written, cut off anywhere, taken up again, followed; and resumed searches."
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_workbench.events import Epoch, Event, Finished, Masks, Removed, Resumed, Saved, SkipInserted, Started, Trained, to_line
from nas_workbench.record import NAME, Record, Recorder, follow, happened, read

RUN = Path(__file__).parent/'data/search'
EVENTS = follow(RUN)[0]

def last_of(record):
    "The rule that tests/test_search.py holds resumed searches to."
    kept = []
    for o in record:
        if isinstance(o, Resumed): kept = [k for k in kept if k.step <= o.step and not (isinstance(k, (Epoch, Removed, SkipInserted)) and k.epoch >= o.epoch)]
        else: kept.append(o)
    return [o for o in kept if isinstance(o, (Trained, Masks, Epoch, Removed, SkipInserted, Finished))]

def test_every_byte_of_a_line(tmp_path):
    "Whatever part of the last line was written: read without it, healed, and gone on with."
    lines = [to_line(o).encode() + b'\n' for o in EVENTS[:3]]
    for n in range(len(lines[2])):
        (tmp_path/NAME).write_bytes(lines[0] + lines[1] + lines[2][:n])
        assert read(tmp_path).events == tuple(EVENTS[:2])
        with Recorder(tmp_path) as emit: emit(EVENTS[2])
        assert (tmp_path/NAME).read_bytes() == b''.join(lines)

@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4000), max_size=12))
def test_followed_in_pieces(pieces):
    "A record that grows by any number of bytes at a time gives every event once, in order."
    import tempfile
    raw = b''.join(to_line(o).encode() + b'\n' for o in EVENTS[:60])
    with tempfile.TemporaryDirectory() as folder:
        path,found,position,end = Path(folder)/NAME,[],0,0
        for n in [*pieces, len(raw)]:
            with open(path, 'ab') as f: f.write(raw[end:end+n])
            end += n
            new,position = follow(path, position)
            found += new
        assert found == EVENTS[:60] and position == len(raw)

@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_search_that_goes_back_again_and_again(data):
    "Died at any event, taken up at any checkpoint written until then: what has happened is what happens undisturbed."
    written,done = [],0
    for _ in range(data.draw(st.integers(1, 4))):
        die = data.draw(st.integers(done + 1, len(EVENTS)))
        written += EVENTS[done:die]
        saved = [n for n in range(die) if isinstance(EVENTS[n], Saved)]
        if not saved: done = 0
        else:
            at = EVENTS[data.draw(st.sampled_from(saved[-2:]))]
            written.append(Resumed(at.step, at.epoch))
            done = EVENTS.index(at) + 1
    written += EVENTS[done:]
    assert [o for o in happened(written) if not isinstance(o, Resumed)] == EVENTS
    kinds = (Trained, Masks, Epoch, Removed, SkipInserted, Finished)
    assert last_of(o for o in written if not isinstance(o, Finished)) == [o for o in happened(written) if isinstance(o, kinds) and not isinstance(o, Finished)] or written.count(EVENTS[0]) > 1
    assert Record.of(written).architecture(10) == Record.of(EVENTS).architecture(10)

def test_without_the_line_that_names_the_checkpoint():
    "The process may die between writing a checkpoint and saying so."
    at = [n for n,o in enumerate(EVENTS) if isinstance(o, Saved)][9]
    o = EVENTS[at]
    for die in (at, at + 5, at + 30):
        unsaid = [e for n,e in enumerate(EVENTS[:die]) if n != at]
        assert last_of([*unsaid, Resumed(o.step, o.epoch)]) == last_of(EVENTS[:at])
        assert [e for e in happened([*unsaid, Resumed(o.step, o.epoch)]) if not isinstance(e, (Resumed, Saved))] == [e for e in EVENTS[:at] if not isinstance(e, Saved)]

def test_killed_while_it_writes(tmp_path):
    "A process that is killed in the middle loses at most the line it was writing."
    child = "import sys, itertools\nfrom nas_workbench.record import Recorder\nfrom nas_workbench.events import Trained\nemit = Recorder(sys.argv[1])\nfor n in itertools.count(): emit(Trained(n, 1, 'weights', .5, None, .5))"
    seen = 0
    for _ in range(3):
        p = subprocess.Popen([sys.executable, '-c', child, str(tmp_path)], env=os.environ)
        while not (tmp_path/NAME).exists() or (tmp_path/NAME).stat().st_size < seen + 20_000: assert p.poll() is None
        p.kill()
        p.wait()
        events,seen = follow(tmp_path)
    steps = [o.step for o in events]
    starts = [n for n,o in enumerate(steps) if o == 0]
    assert len(starts) == 3 and all(steps[a:b] == list(range(b-a)) for a,b in zip(starts, [*starts[1:], None]) if b) and steps[starts[2]:] == list(range(len(steps)-starts[2]))

def test_a_full_disk_is_said_in_one_sentence():
    if not os.path.exists('/dev/full'): pytest.skip('there is no device that is always full here')
    emit = object.__new__(Recorder)
    emit.path,emit.file = Path('run')/NAME,open('/dev/full', 'ab', buffering=0)
    with pytest.raises(OSError, match='make room and resume'): emit(EVENTS[0])

def test_no_torch():
    "A finished run is read where there is no torch."
    code = f"import sys; sys.modules['torch'] = None\nfrom nas_workbench.record import read\nassert read({str(RUN)!r}).architecture().blocks"
    subprocess.run([sys.executable, '-c', code], check=True)

def test_every_kind_of_event_is_checked():
    from nas_workbench.record import _HINTS
    assert set(_HINTS) == set(Event.__subclasses__()) and Started in _HINTS
    for kind,hints in _HINTS.items():
        for name,hint,kinds in hints: assert kinds in ({int}, {str}, {dict}, {int, float, type(None)}), (kind, name, hint)
