//! What is explicit in English.

use super::matcher::{Group, Place, Tables};

/// Prefixes after which a root still counts, most of them first parts of compounds.
const PREFIXES: &str = "un mother mutha mom bull horse dip bat ape chicken dog holy no jack \
    dumb smart fat lard bad hard kick lame kiss wise dead cluster mind \
    brain man whore son fuck clit butt jerk head face eat suck lick my \
    your the you big ass shit cum arse pig rat hell goat";

/// The strongest roots.
const FUCK: &[Group] = &[
    Group {
        place: Place::Anywhere,
        roots: "fuck phuck fvck fuxk fxck motherf muthaf mothaf fuking assfuk",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "fuk fck fcuk phuk phuq fuq fux",
        tails: "- s k ed er ers in ing n",
    },
    Group {
        place: Place::Word,
        roots: "stfu gtfo wtf mofo mofos milf milfs",
        tails: "-",
    },
    Group {
        place: Place::Start,
        roots: "cunt kunt",
        tails: "- s z y ed ing face faced",
    },
    Group {
        place: Place::Word,
        roots: "cvnt cvnts",
        tails: "-",
    },
    Group {
        place: Place::Start,
        roots: "nigger nigga nigguh niggah niggaz niglet",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "faggot faggit fagget faggy",
        tails: "*",
    },
];

/// Filth.
const SHIT: &[Group] = &[
    Group {
        place: Place::Start,
        roots: "shit shyt shiit",
        tails: "- s z e es ed er ers ing in t ty tty tier tiest ting ted ter ters",
    },
    Group {
        place: Place::Start,
        roots: "shithead shithole shitface shitload shitpost shitstorm shitbag \
            shitless shitshow shithouse shitfuck shitass shitbrick shitcan \
            shitheel shitstain shitton shitpile shitey shiteat shitful",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "crap",
        tails: "- py pier piest ped ping",
    },
    Group {
        place: Place::Word,
        roots: "piss",
        tails: "- ed er ers es ing y off",
    },
    Group {
        place: Place::Word,
        roots: "bollock bollox",
        tails: "- s ed ing",
    },
    Group {
        place: Place::Start,
        roots: "turd",
        tails: "- s",
    },
    Group {
        place: Place::Word,
        roots: "goddam goddamn goddamm",
        tails: "- n ed it nit",
    },
];

/// Insults.
const INSULTS: &[Group] = &[
    Group {
        place: Place::Anywhere,
        roots: "bitch biatch biotch beeyotch asshole arsehole",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "bich bytch bicth biches bytches",
        tails: "-",
    },
    Group {
        place: Place::Start,
        roots: "ass azz",
        tails: "- es ez",
    },
    Group {
        place: Place::Start,
        roots: "asshat asswipe assclown assfuck assface asslick assmunch assbag \
            assbite asshead assrape azzhole asswad asswhole dumbass jackass dumass \
            butthole",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "arse",
        tails: "- s d",
    },
    Group {
        place: Place::Word,
        roots: "arsewipe arselick arseface",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "whore whoral",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "whoring whorish",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "slut",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "skank",
        tails: "- s y",
    },
    Group {
        place: Place::Start,
        roots: "bastard basterd bastad",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "wank",
        tails: "- s ed er ers ing y stain",
    },
    Group {
        place: Place::Start,
        roots: "twat twunt",
        tails: "- s ty face ted waffle head",
    },
    Group {
        place: Place::Word,
        roots: "prick",
        tails: "- s",
    },
    Group {
        place: Place::Word,
        roots: "retard",
        tails: "- s ed",
    },
    Group {
        place: Place::Word,
        roots: "bugger",
        tails: "- s ed off",
    },
    Group {
        place: Place::Word,
        roots: "douchebag douchecanoe bellend knobhead nobhead tosser jerkoff gook \
            kike",
        tails: "- s",
    },
    Group {
        place: Place::Word,
        roots: "wetback towelhead raghead",
        tails: "- s",
    },
];

/// The body and what is done with it.
const BODY: &[Group] = &[
    Group {
        place: Place::Start,
        roots: "dick",
        tails: "- s z",
    },
    Group {
        place: Place::Start,
        roots: "dickhead dickface dickwad dickless dickpic dicksuck dickbag dickhole \
            dickweed dickish dickrid",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "cock",
        tails: "- s z",
    },
    Group {
        place: Place::Start,
        roots: "cocksuck cockhead cockblock cockface cockmunch cokmunch cockbit \
            cockring cockslut cockwhore",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "suckmy suckit",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "pussy pussi pussies pusy pussys",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "tits titty tittie titties tittys boobies",
        tails: "-",
    },
    Group {
        place: Place::Word,
        roots: "clit",
        tails: "- s",
    },
    Group {
        place: Place::Word,
        roots: "cums cumming",
        tails: "-",
    },
    Group {
        place: Place::Word,
        roots: "kurwa kurwy kurwo kurwe",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "cumshot cumslut cumdump cumbag cumbucket cumguzzler jizz spooge",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "blowjob handjob rimjob footjob titjob titfuck buttplug buttfuck \
            gangbang dildo deepthroat fellatio cunnilingus cunilingus cunillingus \
            cuntlick bukkake bukake buttsex creampie",
        tails: "*",
    },
];

/// Stems of innocent words.
const INNOCENT: &[&str] = &[
    // Mushrooms, a doll cat, a careful step, a town, a skater.
    "assess shiitake shiite shittah shittim pussycat pussyfoot pussywillow slutsk slutzk niggard",
];

/// The tables.
pub(super) const TABLES: Tables = Tables {
    groups: &[FUCK, SHIT, INSULTS, BODY],
    innocent: INNOCENT,
    prefixes: PREFIXES,
};
