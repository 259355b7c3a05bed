"""Every rule that holds an invariant, and the test that fails when it is taken out. ARCHITECTURE.md shows this table."""

from __future__ import annotations

from .mutant import PROTOCOL, Mutant

CODE = "tests/proof/test_code_follows.py::"
CRASHES = "tests/proof/test_crashes.py::"
DROPS = "tests/store/test_drops.py::"
FAULTS = "tests/proof/test_faults.py::"
FOLDER = "tests/store/test_folder.py::"
POWER = "tests/proof/test_power.py::"
STATEFUL = "tests/proof/test_stateful.py::"
WORKER = "tests/worker/test_worker.py::"

MARKS_TAKEN_AWAY = (
    "            self.unmark_all(one.held.name for one in outcomes if one.to in FINISHED and one.held not in lost_ones)\n"
)
PUBLISHED = "            names = [None if outcome.held in lost_ones else self.publish(outcome) for outcome in outcomes]\n"

ONE_PLACE = [
    Mutant(
        "I1",
        "a rename never overwrites",
        "store/files.py",
        "RENAME_NOREPLACE = 1",
        "RENAME_NOREPLACE = 0",
        PROTOCOL + "test_a_rename_never_overwrites",
    ),
    Mutant(
        "I1",
        "an outcome changes places with the claimed file, it does not replace it",
        "store/moving.py",
        "files.swap(self.scratch.folder, name, target, outcome.held.name)",
        "files.replace(self.scratch.folder, name, target, outcome.held.name)",
        DROPS + "test_a_job_moved_away_by_hand_while_it_runs_is_not_revived",
    ),
    Mutant(
        "I1",
        "what was claimed is what was read",
        "store/taking.py",
        "if (taken.st_ino, taken.st_mtime_ns, taken.st_size) != seen.mark:",
        "if False:",
        DROPS + "test_a_file_that_is_swapped_between_the_look_and_the_claim_is_put_back",
    ),
    Mutant(
        "I1",
        "a dropped file takes a name that no job has",
        "store/taking.py",
        "return free_name(name, self.folder.taken)",
        "return name",
        DROPS + "test_the_same_name_again_keeps_both",
    ),
    Mutant(
        "I1",
        "a dropped file that ends takes a name that no ended job has",
        "store/moving.py",
        "new_name = free_name(new_name, lambda other_name: files.exists(other, other_name))",
        "pass",
        STATEFUL + "test_a_dropped_file_that_ends_gets_a_name_that_no_ended_job_has",
    ),
    Mutant(
        "I1",
        "what was claimed before an error is handed out",
        "store/claiming.py",
        "                if not claims:\n                    raise",
        "                raise",
        FAULTS + "test_whichever_call_fails_nothing_is_lost_and_a_second_try_works[claim-EIO]",
    ),
    Mutant(
        "I1",
        "a job is handed out though the marks cannot be listed after its claim",
        "store/moving.py",
        "                return True\n            # An mtime",
        "                raise\n            # An mtime",
        FAULTS + "test_whichever_call_fails_nothing_is_lost_and_a_second_try_works[claim-EIO]",
    ),
    Mutant(
        "I1",
        "a write that fails leaves no file",
        "store/files.py",
        "        os.close(file)\n        with suppress(OSError):\n            os.unlink(name, dir_fd=folder)\n        raise",
        "        os.close(file)\n        raise",
        FAULTS + "test_whichever_call_fails_nothing_is_lost_and_a_second_try_works[enqueue-EIO]",
    ),
]
ACKNOWLEDGED = [
    Mutant(
        "I2",
        "a file is synced before its rename",
        "store/files.py",
        "        if sync:\n            sync_file(file)\n    except BaseException:",
        "    except BaseException:",
        POWER
        + "test_a_power_cut_breaks_no_promise[enqueue-by folder] & "
        + CODE
        + "test_the_code_takes_the_steps_of_the_model",
    ),
    Mutant(
        "I2",
        "the files of a group are synced before their renames",
        "store/commit.py",
        "                files.sync_file_system(self.folder)",
        "                pass",
        POWER + "test_a_power_cut_breaks_no_promise[enqueue_many-by folder]",
    ),
    Mutant(
        "I2",
        "the folder is synced before the answer",
        "store/commit.py",
        "                files.sync_folder(folder)",
        "                pass",
        POWER + "test_a_power_cut_breaks_no_promise[enqueue-by folder]",
    ),
    Mutant(
        "I2",
        "a key is durable before its job",
        "store/keys.py",
        "        if self.durable:\n            files.sync_file(file)",
        "",
        POWER + "test_a_power_cut_breaks_no_promise[enqueue-by folder]",
    ),
    Mutant(
        "I2",
        "a failed sync of the folder is told",
        "store/putting.py",
        "        except OSError as error:\n            raise self.doubt(error) from error\n\n    def adopt",
        "        except OSError:\n            pass\n\n    def adopt",
        PROTOCOL + "test_a_failed_sync_of_the_folder_says_that_the_job_may_exist",
    ),
]
WHOLE = [
    Mutant(
        "I3",
        "a job is written elsewhere and renamed into place",
        "store/spool.py",
        'self.scratch = Scratch(self.folder.fds["tmp"], durable)',
        'self.scratch = Scratch(self.folder.fds["pending"], durable)',
        CODE + "test_the_code_takes_the_steps_of_the_model[enqueue-strict]",
    ),
    Mutant(
        "I3",
        "a dropped file that somebody writes is waited for",
        "store/intake.py",
        "        return error.errno in (errno.EAGAIN, errno.EACCES) and not owned_by_another(file)",
        "        return False",
        DROPS + "test_a_slow_writer_is_waited_for",
    ),
    Mutant(
        "I3",
        "a half-written file has time to settle",
        "store/intake.py",
        "            return self.seconds\n        return self.seconds - (now - known[1])",
        "            return 0.0\n        return 0.0",
        "tests/store/test_drops.py::test_a_change_starts_the_settle_time_of_that_file_again",
    ),
]
ONE_EXECUTOR = [
    Mutant(
        "I4",
        "only a free lock makes an owner dead",
        "store/rescuing.py",
        "            if not self.locks.alive(owner):\n"
        "                with self.locks.seize(owner) as dead:\n"
        "                    if dead:\n"
        "                        moved += self.try_recover(owner)",
        "            moved += self.try_recover(owner)",
        PROTOCOL + "test_a_stopped_owner_keeps_its_jobs",
    ),
    Mutant(
        "I4",
        "a rescuer holds the lock while it acts",
        "store/locks.py",
        "        with self.try_hold(owner) as dead:\n            yield dead",
        "        with self.try_hold(owner) as dead:\n            pass\n        yield dead",
        PROTOCOL + "test_a_rescuer_holds_the_lock_while_it_acts",
    ),
    Mutant(
        "I4",
        "an owner whose lock file was removed stops",
        "store/spool.py",
        "        if not intact:",
        "        if False:",
        PROTOCOL + "test_a_removed_lock_file_stops_its_owner",
    ),
    Mutant(
        "I4",
        "a forked child does not take itself for its parent",
        "store/locks.py",
        "        return lock is not None and lock.is_locked",
        "        return lock is not None",
        PROTOCOL + "test_a_forked_child_does_not_hold_the_claims_of_its_parent",
    ),
    Mutant(
        "I4",
        "the lock file stays where it is",
        "store/locks.py",
        "            yield True\n        finally:\n            lock.release()",
        "            yield True\n        finally:\n            files.remove(self.fd, name)\n            lock.release()",
        PROTOCOL + "test_the_lock_file_stays_with_the_same_inode_after_a_release",
    ),
]
BACK_AT_ONCE = [
    Mutant(
        "I5",
        "every worker looks for dead owners",
        "worker/chores.py",
        "            Chore(RESCUE_EVERY, self.rescue),\n",
        "",
        WORKER + "test_a_killed_workers_job_comes_back_within_a_second",
    ),
    Mutant(
        "I5",
        "a child ends with its worker",
        "worker/child.py",
        "    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)\n",
        "",
        WORKER + "test_a_killed_workers_job_comes_back_within_a_second",
    ),
    Mutant(
        "I9",
        "what cannot be a job is set aside by a rescue, too",
        "store/rescuing.py",
        "            if seen.problem:",
        "            if False:",
        DROPS + "test_whatever_lies_in_claimed_stops_no_rescue",
    ),
]
ONCE = [
    Mutant(
        "I6",
        "a recorded outcome rolls forward",
        "store/rescuing.py",
        "        if job.written_by == held.claim_folder:",
        "        if False:",
        PROTOCOL + "test_a_recorded_outcome_rolls_forward_and_is_not_run_again",
    ),
    Mutant(
        "I6",
        "no file is claimed into the folder that wrote it last",
        "store/taking.py",
        "claim_folder = owner + SECOND if job.written_by == owner else owner",
        "claim_folder = owner",
        PROTOCOL + "test_an_old_outcome_is_not_taken_for_a_new_one",
    ),
    Mutant(
        "I6",
        "a crash counts an attempt",
        "store/rescuing.py",
        "        return transition if told is None else tell(transition, told)\n",
        "        return release(job, run)\n",
        PROTOCOL + "test_a_killed_owner_is_dead_at_once",
    ),
    Mutant(
        "I6",
        "what was handed back counts none",
        "store/rescuing.py",
        "        if info is not None and info.handed_back and not cancelled:",
        "        if False:",
        PROTOCOL + "test_a_handed_back_job_loses_no_attempt",
    ),
    Mutant(
        "I6",
        "an outcome that rolls forward stands in the journal",
        "store/rescuing.py",
        "status_of(job) if job.finished else Status.PENDING, attempt=recorded_attempt(job, owner))",
        "status_of(job) if job.finished else Status.PENDING)",
        PROTOCOL + "test_a_recorded_outcome_rolls_forward_and_is_not_run_again",
    ),
]
ONE_WINNER = [
    Mutant(
        "I7",
        "a cancel asked for in time ends a job that would run again",
        "store/moving.py",
        "            if asked and transition.to is Status.PENDING:",
        "            if False:",
        PROTOCOL + "test_a_cancel_asked_in_time_turns_a_retry_into_an_end",
    ),
    Mutant(
        "I7",
        "a cancel holds when the owner has died",
        "store/rescuing.py",
        "            transition = lost(job, run, policy=policy, cancelled=cancelled)",
        "            transition = lost(job, run, policy=policy)",
        PROTOCOL + "test_a_cancelled_job_of_a_dead_worker_ends",
    ),
    Mutant(
        "I7",
        "a rescue leaves the mark of a job that goes back",
        "store/moving.py",
        "one.held.name for one in outcomes if one.to in FINISHED and one.held not in lost_ones)",
        "one.held.name for one in outcomes if one.held not in lost_ones)",
        "tests/proof/test_marks.py::test_a_cancel_during_a_rescue_still_ends_the_job",
    ),
    Mutant(
        "I7",
        "a claim looks for a mark",
        "store/taking.py",
        "if self.cancel_asked(name):  # not into the index again: this very pass would take it again, and again",
        "if False:",
        PROTOCOL + "test_a_job_with_a_mark_is_ended_by_its_claim",
    ),
    Mutant(
        "I7",
        "a job that has ended takes its mark along",
        "store/moving.py",
        MARKS_TAKEN_AWAY,
        "",
        PROTOCOL + "test_a_cancel_that_comes_while_the_job_ends_does_not_end_it_again",
    ),
    Mutant(
        "I8",
        "a mark is taken away before the job moves, so that no crash leaves one",
        "store/moving.py",
        MARKS_TAKEN_AWAY + PUBLISHED,
        PUBLISHED + MARKS_TAKEN_AWAY,
        CRASHES + "test_a_crash_at_any_step_loses_nothing_and_doubles_nothing[ended-though-asked-to-stop-relaxed]",
    ),
    Mutant(
        "I8",
        "whoever marks a job looks whether its end stood there already",
        "store/verbs.py",
        "if located is not None and not has_ended(located.job, place):",
        "if located is not None:",
        "tests/proof/test_marks.py::test_a_cancel_that_comes_after_the_end_stands_in_the_file_is_refused",
    ),
    Mutant(
        "I7",
        "whoever marks a job looks whether the mark is still there",
        "store/verbs.py",
        "if self.moving.cancel_asked(name):",
        "if True:",
        "tests/proof/test_marks.py::test_a_mark_that_the_end_of_an_earlier_round_took_along_is_made_again",
    ),
    Mutant(
        "I7",
        "the mark of an ended job is taken away with the job in hand",
        "store/verbs.py",
        "        if ended.owner is not None:\n",
        "        if True:\n",
        "tests/proof/test_marks.py::test_a_refused_cancel_takes_nobody_elses_mark_away",
    ),
    Mutant(
        "I7",
        "a listing has a descriptor of its own, so that no mark is overlooked",
        "store/files.py",
        '    inside = open_folder(".", folder)\n    try:\n        return os.listdir(inside)',
        "    inside = os.dup(folder)\n    try:\n        return os.listdir(inside)",
        "tests/store/test_folder.py::test_threads_that_list_a_folder_at_once_each_see_all_of_it[names]",
    ),
    Mutant(
        "I8",
        "a mark that was taken away does not come back with the power",
        "store/moving.py",
        "        if marked:\n            self.scratch.settle([marks])\n",
        "",
        CODE + "test_the_code_takes_the_steps_of_the_model[roll forward, marked-strict]",
    ),
    Mutant(
        "I7",
        "a mark made in the tick of the last look is seen",
        "store/moving.py",
        "            fresh = time.time_ns() - mtime < COARSE_CLOCK",
        "            fresh = False",
        PROTOCOL + "test_a_cancel_in_the_tick_of_the_last_look_is_seen",
    ),
    Mutant(
        "I7",
        "a purge looks again where nobody else can change the job",
        "store/verbs.py",
        "        if where is not None and (job is None or not where.matches(job)):",
        "        if False:",
        PROTOCOL + "test_a_purge_looks_again_at_the_last_moment",
    ),
    Mutant(
        "I7",
        "who lost the claim of a job cannot store its outcome",
        "store/moving.py",
        "                lost_ones.add(outcome.held)",
        "                pass",
        DROPS + "test_a_job_moved_away_by_hand_while_it_runs_is_not_revived",
    ),
]
NEVER_UNDONE = [
    Mutant(
        "I8",
        "an outcome is durable before it is told",
        "store/moving.py",
        "            self.scratch.settle({self.folder.by_status[outcome.to] for outcome in outcomes}, "
        "self.witness(outcomes, names))",
        "            pass",
        POWER + "test_a_power_cut_breaks_no_promise[finish_done-by folder]",
    ),
    Mutant(
        "I8",
        "a purge is durable before it is told",
        "store/verbs.py",
        '            self.scratch.settle([*(self.folder.by_status[status] for status in allowed), self.folder.fds["trash"]])',
        "            pass",
        POWER + "test_a_power_cut_breaks_no_promise[purge-by folder]",
    ),
    Mutant(
        "I8",
        "a mark is durable before it is told",
        "store/moving.py",
        '        self.scratch.settle([self.folder.fds["cancel"]])\n',
        "",
        CODE + "test_the_code_takes_the_steps_of_the_model[cancel, running-strict]",
    ),
    Mutant(
        "I8",
        "a restored job is durable before it is told",
        "store/verbs.py",
        "        self.scratch.settle(self.folder.by_status.values())\n",
        "",
        PROTOCOL + "test_strict_syncs_what_it_acknowledges[restore]",
    ),
    Mutant(
        "I8",
        "a cancel holds when the worker hands its jobs back",
        "store/rescuing.py",
        " and info.handed_back and not cancelled:",
        " and info.handed_back:",
        STATEFUL + "test_a_cancel_holds_when_the_worker_hands_its_jobs_back",
    ),
]
HARMLESS = [
    Mutant(
        "I9",
        "a link is never followed",
        "store/files.py",
        'LOOK = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK',
        "LOOK = os.O_RDONLY | os.O_NONBLOCK",
        DROPS + "test_what_takes_a_files_place_before_it_is_opened_is_not_read[link]",
    ),
    Mutant(
        "I9",
        "only a regular file is opened",
        "store/intake.py",
        "    if not stat.S_ISREG(seen.st_mode):\n        return",
        "    if False:\n        return",
        DROPS + "test_fifo_socket_and_device_are_never_opened",
    ),
    Mutant(
        "I9",
        "a file with two names is set aside",
        "store/intake.py",
        "    if seen.st_nlink > 1:",
        "    if False:",
        DROPS + "test_a_hard_link_is_set_aside_and_its_other_name_untouched",
    ),
    Mutant(
        "I9",
        "a file above the limit is judged by its size",
        "store/intake.py",
        "    if seen.st_size > limit:",
        "    if False:",
        DROPS + "test_a_sparse_file_of_256_gib_is_judged_by_its_size",
    ),
    Mutant(
        "I9",
        "a key that stands twice is refused",
        "store/codec.py",
        "    if len(document) != len(pairs):",
        "    if False:",
        DROPS + "test_set_aside",
    ),
    Mutant(
        "I9",
        "NaN and Infinity are refused",
        "store/codec.py",
        "parse_constant=refuse_constant, ",
        "",
        DROPS + "test_set_aside",
    ),
    Mutant(
        "I9",
        "what a dropped file says of its own past is ignored",
        "model/request.py",
        "    if job.written_by is None and not CONTROL_FIELDS.isdisjoint(record.keys()):",
        "    if False:",
        DROPS + "test_forged_control_fields_are_ignored",
    ),
    Mutant(
        "I9",
        "a folder named like a job is looked at once",
        "store/strangers.py",
        '            self.index.hold(name, "skip")\n            self.report_once(name, seen.skip)',
        "            self.report_once(name, seen.skip)\n            self.index.look_again(name)",
        DROPS + "test_a_folder_named_like_a_job_stays_and_is_reported_once",
    ),
    Mutant(
        "I9",
        "a file that cannot be moved costs nobody a claim",
        "store/taking.py",
        "            if not files.is_fixed(error):\n                raise\n",
        "            raise\n",
        DROPS + "test_an_immutable_file_stops_nothing",
    ),
    Mutant(
        "I9",
        "no window hides jobs that can run",
        "store/index.py",
        "        while self.ready:\n            key, name = heapq.heappop(self.ready)",
        "        for _ in range(sum(map(len, self.held.values())) < 400):\n            key, name = heapq.heappop(self.ready)",
        "tests/store/test_index.py::test_a_thousand_names_that_cannot_run_hide_none_that_can",
    ),
    Mutant(
        "I9",
        "the reason lies beside a file that is set aside",
        "store/moving.py",
        '        files.write_new(failed, reason_name(name), text.encode("utf-8", "surrogateescape"))\n',
        "",
        DROPS + "test_set_aside",
    ),
    Mutant(
        "I9",
        "a folder that others may write to is refused",
        "store/folder.py",
        "        if mode & (stat.S_IWGRP | stat.S_IWOTH):",
        "        if False:",
        FOLDER + "test_a_folder_that_others_may_write_to",
    ),
    Mutant(
        "I9",
        "two file systems under one root are refused",
        "store/folder.py",
        "            if os.fstat(fd).st_dev != device:",
        "            if False:",
        FOLDER + "test_two_file_systems_under_one_root",
    ),
]
FULL_DISK = [
    Mutant(
        "faults",
        "a full disk is drained one by one",
        "store/moving.py",
        "                if error.errno not in FULL or len(group) == 1:\n                    raise",
        "                raise",
        "tests/store/test_full_disk.py::test_jobs_finish_on_a_full_disk",
    ),
    Mutant(
        "faults",
        "the reserve takes an outcome that the disk has no room for",
        "store/commit.py",
        "            if not reserve or error.errno not in FULL or self.reserve is None or len(blobs) != 1:\n"
        "                raise",
        "            raise",
        "tests/store/test_full_disk.py::test_jobs_finish_on_a_full_disk",
    ),
    Mutant(
        "faults",
        "what the journal could not write goes out with the next lines",
        "store/journal.py",
        "            self.let_go()\n            return error\n",
        '            self.let_go()\n            self.unwritten = b""\n            return error\n',
        "tests/store/test_journal.py::test_what_the_disk_refuses_goes_out_with_the_next_lines",
    ),
    Mutant(
        "faults",
        "a job that could not be opened is tried again later",
        "store/claiming.py",
        "                    self.index.keep(name, SOON)  # else this worker would never look at it again\n",
        "",
        FAULTS + "test_whichever_call_fails_nothing_is_lost_and_a_second_try_works[claim-EIO]",
    ),
]

CATALOGUE = [
    *(*ONE_PLACE, *ACKNOWLEDGED, *WHOLE, *ONE_EXECUTOR, *BACK_AT_ONCE, *ONCE, *ONE_WINNER),
    *(*NEVER_UNDONE, *HARMLESS, *FULL_DISK),
]
