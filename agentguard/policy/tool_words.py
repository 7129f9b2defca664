"""Words that tools are named and described with, by what they say of a tool's effects. Verbs stand in their plain form."""

from __future__ import annotations

READING = frozenset(
    """analyse analyze assess audit browse calculate check classify compare compute convert count decode describe detect
    diff display estimate evaluate examine explain explore extract fetch filter find forecast format get give hash help
    identify inspect interpret list locate look lookup match measure monitor parse peek predict preview query rank read
    recommend retrieve return review scan score search see show simulate sort suggest summarise summarize tail test
    think tokenize trace track transcribe translate validate verify view watch whoami""".split()
)
"""What only looks, or works something out."""

EFFECT = frozenset(
    """abort accept ack acknowledge activate add adjust admit adopt advance allocate allow alter answer append apply
    approve archive arm assemble assign attach authorise authorize autofill award ban bet bid bill bind blacklist bless
    block boot borrow brew bring broadcast build bump burn buy calibrate cancel capture carry cast change charge checkin
    checkout chmod claim clear click clone close commence commission commit compile complete compose compress configure
    confirm connect consume contact contest contribute copy correct create credit crop cut deactivate debit declare
    decline decompress decrease decrement deduct deduplicate delay delegate delete deliver deny deploy deposit destroy
    detach dial disable disallow disarm disburse discard discharge disconnect dismiss dispatch dispense dispose dock
    donate download drain drop dump duplicate edit eject elevate email emit empty enable encrypt end enforce enlist
    enqueue enrol enroll enter erase escalate eval evict exchange exclude exec execute exit expand expire export extend
    file fill finalise finalize finish fire fix flag flash flip flush follow forfeit forge forget fork forward freeze
    fulfil fulfill fund generate grade grant hail halt hand handle hang hibernate hide hire hit hold impersonate import
    impose incorporate increase increment inform ingest init initialise initialize initiate inject insert install
    interrupt invalidate invite invoice invoke issue join kick kickoff kill launch lease leave lend let like limit link
    load lock login logout make manage mark merge message migrate mine mint modify mount move mute navigate nominate
    note notify nudge obtain offboard onboard open operate order override overwrite park partition patch pause pay
    perform permit persist pin pitch place play pledge poke post power prepare prescribe press print prioritise
    prioritize process produce promote propose provision prune publish pull purchase purge push put quarantine queue
    quit raise reactivate reassign reboot rebuild recall recharge reclaim recommence reconcile record recover redeem
    redeploy redirect redo reduce refresh refund refuse regenerate register reimburse reindex reinstall reject release
    relocate remind remove rename renew rent reopen repair repeat replace replenish reply report repost request rerun
    reschedule resend reserve reset resign resize resolve respond restart restock restore restrict resume retire retry
    retweet revert revoke reward rewrite ring roll rollback rollout rotate route rsvp rsync run sanitise sanitize save
    scale schedule seal seed sell send set settle setup share ship shred shut shutdown sign signup silence skip snooze
    solve spawn spend split sponsor squash stage stake stamp star start stash steal stop store stream strip submit
    subscribe substitute summon supply surrender suspend swap swipe switch sync synchronise synchronize tag take tap
    terminate throw tighten tip toggle top touch trade train transfer transition trigger trim truncate turn tweet type
    unarchive unarm unassign unban unblock undo unenroll unfollow unfreeze uninstall unlink unlock unmount unpin
    unregister unset unshare unstage unsubscribe untag unzip update upgrade upload upsert upvote vacuum void vote
    wager waive wake warm warn watermark wed whitelist wipe wire withdraw write yank zip""".split()
)
"""What changes, sends, runs, spends or reaches something."""

CRITICAL = frozenset(
    """buy charge delete destroy disburse drop erase eval exec execute grant impersonate kill pay purchase purge refund revoke sell spend
    terminate transfer truncate wipe wire withdraw""".split()
)
"""Those of them that can hardly be taken back, or that run, spend or entitle."""

BESIDE_READING = frozenset(
    """append apply create delete destroy drop execute grant insert install kill mark modify overwrite persist post publish purge remove
    rename replace save send store submit terminate truncate uninstall update upload wipe write""".split()
)
"""Those that say that a tool does more than read, where they stand behind a word of reading: `get_or_create_user`."""

NOUNS = frozenset(
    """alarm appointment backup booking call chat comment deployment dm email invitation invoice label mail message migration notification
    order payment payout pin post purchase refund reminder repl reservation sandbox shell shipment sms subscription terminal
    transaction transfer tweet withdrawal""".split()
)
"""Things that a tool makes, where its name says nothing else: `email`, `sms`, `python_repl`."""

PAIRS = frozenset(
    tuple(pair.split())
    for pair in """check in, check out, log in, log out, sign in, sign up, opt in, opt out, look after, format disk,
        print label, write down, set up, return item, return order, track time, track expense, track event,
        track habit, test run, test webhook, scan in, review pr, review pull, review application, review
        submission, extract archive, extract zip""".split(",")
)
"""Two words that together have an effect, although the first alone reads."""

RUNNING = frozenset("bash cmd code command commands javascript program python script shell sql statement".split())
"""Parameters whose text something runs."""

REACHING = frozenset("endpoint href link uri url urls webhook website".split())
"""Parameters that name an address: reaching one that somebody else chose is sending."""

CHOOSING = frozenset("action method mutation operation verb".split())
"""Parameters that choose what is done."""

SENDING = frozenset("attendees bcc body cc callback payload recipient recipients".split())
"""Parameters that carry something out."""

ROLES: dict[str, frozenset[str]] = {
    "recipient": frozenset("attendee attendees bcc cc recipient recipients to".split()),
    "url": REACHING,
    "path": frozenset("destination dir directory file filename folder path paths source".split()),
    "sql": frozenset("sql statement".split()),
    "shell": frozenset("bash cmd command commands shell".split()),
    "code": frozenset("code javascript program python script".split()),
    "amount": frozenset("amount price total".split()),
    "text": frozenset("body content message subject text".split()),
}
"""What parameters are for, by their whole names."""

SWITCHES = frozenset(
    "create delete force mark notify overwrite persist publish remove replace save send submit update upsert write".split()
)
"""First words of switches that make a reading tool do more: `mark_as_read`."""

LEADING = tuple(
    f"{' '.join(lead.split())} "
    for lead in """a tool that, a tool to, allows you to, allows to, can be used to, helps to, lets you, the tool, this tool
    can, this tool, this function, this endpoint, this will, tool for, tool that, tool to, use this tool to,
    use this to, use to, used to, useful for, will, api to, function to, endpoint to, you can, please""".split(",")
)
"""How descriptions begin before they say anything."""

DETERMINERS = frozenset(
    """a an all any each every everyone her him his in it its me my one our out some somebody someone the their them
    these this those up us whoever you your""".split()
)
PREPOSITIONS = frozenset("and as at between by for from in of per that to which with".split())
QUESTIONS = frozenset("how what when where whether which who whom whose why".split())
NOT_VERBS = frozenset(
    """a about above across all also an and any as at both by current currently each every for from half if in into its last latest like
    many more most my new next no number of on once one only or other our over past per recent same several some such than
    that the their then there these this those to today total under up upon via with within without your yesterday""".split()
)
NEGATIONS = frozenset("cannot doesn't don't isn't neither never no none nor not nothing without won't".split())
