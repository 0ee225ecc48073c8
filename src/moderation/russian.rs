//! What is explicit in Russian.
//!
//! Roots are written without `ё` and stand for all their derivations. Those in `BOTH` are looked
//! for in Latin spelling too; those in `CYRILLIC` are not, for there they are other words.

use super::matcher::{Group, Place, Tables};

/// Prefixes, and first parts of compounds, after which a root still counts.
const PREFIXES: &str = "без бес взъ воз вос въ вы за из изъ изо ис на наи над не недо об обо \
    объ от ото отъ пере по под подо подъ пре при про пра раз разо разъ рас \
    съ у до супер мега архи гипер полу само мало много ново еле анти \
    псевдо долбо далбо мозго одно худо черно толсто криво жирно долго \
    кругло голо рыже красно бело узко косо козло ското овце пиздо хуе хуй \
    муде говно сука бля блядь мать твою";

/// Endings of a noun such as `сука`.
const FEMININE: &str = "а ы и е у ой ою ей ам ами ах";

/// Endings of a noun such as `хер`.
const MASCULINE: &str = "- а у ом е ы и ов ам ами ах";

/// Roots known in any spelling.
const BOTH: &[Group] = &[
    // хуй
    Group {
        place: Place::Start,
        roots: "хуя хуев хуйн хуйл хуйов хуйс хуйк",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "хуй",
        tails: "- у ем ом ами",
    },
    Group {
        place: Place::Start,
        roots: "хуек хуеп хуесо хуеб хуем хуел хуеш хуен хуета хуету хуеты хуетой \
            хуеющ хуит хуил хуищ хуин хуяк хуяч хуяр хуюш хуюл хуиш",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "нихуй нихуя нехуй нехуя нихуе нахуй нахуи нахую похую похуи нихуи \
            нихую",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "хуи хую дохую",
        tails: "-",
    },
    Group {
        place: Place::Word,
        roots: "охуе охуи ахуе ахуи",
        tails: "*",
    },
    // пизда
    Group {
        place: Place::Anywhere,
        roots: "пизд пизж пезд",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "спизд спизж впизд опизд апизд",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "писдец писдетс пздц пздец пизец пистец пиздос",
        tails: "*",
    },
    // ебать, with a vowel or a hard sign before it
    Group {
        place: Place::AfterVowel,
        roots: "ебал ебан ебат ебаш ебач ебаст ебарь ебаре ебаря ебут ебуч ебущ ебуш \
            ебля ебло еблан ебли ебну ебни ебне ебнит ебок ебос ебош ебищ ебис \
            ебите ебеня ебешь ебет ебем ебыв ебыр ебическ ебипет ебуков ебун ебец \
            ебашь ебтв ебты ебти ебта ебтиц ебстис еблив ебыш ебатор ебак",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "себал себат себыв себис заеб наеб уеб проеб выеб вебат вебал долбоеб \
            далбоеб мозгоеб выебон долбаеб далбаеб остоеб распроеб приеб ебйот \
            вебыв вебив невротеб шараеб",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "подебал подебат подебыв подебн подебк отебал отебат отебис отебыв \
            обебал обебат разебал разебат разебан изебал изебат вебал въеб взъеб \
            взебал",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "йобан йобн йобыр йобт йобу йобла йебан зайоб уйоб долбойоб пройоб \
            найоб",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "заибал заибис заибат ибанут ибанат ибать ибаш ибанамат отьибис выибыв \
            наибал наибат",
        tails: "*",
    },
    // блядь
    Group {
        place: Place::Anywhere,
        roots: "бляд",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "бля",
        tails: "- нах ц",
    },
    Group {
        place: Place::Word,
        roots: "блябуд",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "блят выблят заблят наблят проблят",
        tails: "*",
    },
    // мудак
    Group {
        place: Place::Start,
        roots: "мудак мудач мудац мудаг мудила мудозв мудох мудоеб мудень мудищ мудель \
            мудокл",
        tails: "*",
    },
    // манда
    Group {
        place: Place::Start,
        roots: "мандавош мандавох мандовош мандюк мандень мандеть мандищ мандяр \
            промандет прошманд",
        tails: "*",
    },
    // залупа, гондон
    Group {
        place: Place::Start,
        roots: "залуп",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "гандон гондон гандош гондош",
        tails: "*",
    },
    // дрочить
    Group {
        place: Place::Start,
        roots: "дроч",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "задрот задрачив надрачив подрачив",
        tails: "*",
    },
    // пидор
    Group {
        place: Place::Start,
        roots: "пидор пидар пидерас пидорас пидарас педрил пидрил пидрюн пидовк \
            педераст спидорас",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "пидр",
        tails: "*",
    },
    // шлюха, сука
    Group {
        place: Place::Anywhere,
        roots: "шлюх шлюш шлух",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "сук ссук сцук",
        tails: FEMININE,
    },
    Group {
        place: Place::Word,
        roots: "сукин",
        tails: "- а о у ы ым ой ого ому ых",
    },
    Group {
        place: Place::Word,
        roots: "сучк",
        tails: "а и е у ой ою",
    },
    Group {
        place: Place::Word,
        roots: "сучий сучар сучонок сучонк сукабл сукаеб",
        tails: "*",
    },
    // говно, жопа
    Group {
        place: Place::Word,
        roots: "говн гавн гамн обговн заговн изговн наговн сговн подговн",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "жоп",
        tails: "*",
    },
    // срать
    Group {
        place: Place::Start,
        roots: "срать срал сран",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "обосра обосс срат срач срак обосца засрат засран насрат просрат",
        tails: "*",
    },
    // трахать
    Group {
        place: Place::Start,
        roots: "трахат трахал трахаю трахну трахае трахан",
        tails: "*",
    },
    // курва
    Group {
        place: Place::Word,
        roots: "курв",
        tails: "а ы у ой ою ам ами ах о",
    },
    // хер
    Group {
        place: Place::Word,
        roots: "нахер похер охерет",
        tails: "-",
    },
    // The lesser ones.
    Group {
        place: Place::Word,
        roots: "чмо",
        tails: "-",
    },
    Group {
        place: Place::Word,
        roots: "гомосек",
        tails: MASCULINE,
    },
    Group {
        place: Place::Word,
        roots: "шалав потаскух потаскуш ублюд ублюдо выблюд дерьм хуесос членосос \
            жополиз мазафак говноед чмошн бздун дристун пердун пердет \
            пердеж",
        tails: "*",
    },
];

/// Roots looked for only when there is a Russian letter, or the look of one, in the word.
const CYRILLIC: &[Group] = &[
    // хуй
    Group {
        place: Place::Anywhere,
        roots: "хуй хуе хуя",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "нах пох нахй похй нхуй",
        tails: "-",
    },
    Group {
        place: Place::Word,
        roots: "хули хуле хуля нихуле дохули",
        tails: "-",
    },
    // ебать
    Group {
        place: Place::AfterVowel,
        roots: "еб",
        tails: "- у ы ом ов ам ами ах ешь",
    },
    Group {
        place: Place::AfterVowel,
        roots: "еби ебя ебей ебе ебк ебн",
        tails: "- а и е у сь ся ш",
    },
    Group {
        place: Place::AfterVowel,
        roots: "ебен ебла ебле еблы ебас ебар ебск ебоч ебик ебин",
        tails: "*",
    },
    Group {
        place: Place::Anywhere,
        roots: "ьеб",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "епт йопт",
        tails: "- ь а ы ыть ить",
    },
    Group {
        place: Place::Word,
        roots: "ипать ипал ипац ипет",
        tails: "- ся а и о ца цо",
    },
    Group {
        place: Place::Word,
        roots: "ниипет ниипац ниипал ниибац ниебац",
        tails: "*",
    },
    // блядь
    Group {
        place: Place::Word,
        roots: "блеат блеад блиат блиад млять плять плядь блть блдь",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "блать",
        tails: "-",
    },
    // манда
    Group {
        place: Place::Word,
        roots: "манд",
        tails: "а ы е ой ою",
    },
    // мудак
    Group {
        place: Place::Start,
        roots: "мудил мудн мудет мудист",
        tails: "*",
    },
    // пидор
    Group {
        place: Place::Word,
        roots: "педик педрик",
        tails: MASCULINE,
    },
    // сука
    Group {
        place: Place::Word,
        roots: "суч",
        tails: "ий ьего ьему ьим ью ьей",
    },
    Group {
        place: Place::Word,
        roots: "сучек",
        tails: "-",
    },
    Group {
        place: Place::Word,
        roots: "ссуч сученыш сучищ сукатв",
        tails: "*",
    },
    // говно, жопа
    Group {
        place: Place::Word,
        roots: "говенн говенк говешк",
        tails: "*",
    },
    Group {
        place: Place::AfterVowel,
        roots: "жоп",
        tails: "*",
    },
    // срать
    Group {
        place: Place::Start,
        roots: "срат срак",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "сру срут срет срем срешь срете сри срите",
        tails: "- ся сь",
    },
    Group {
        place: Place::Word,
        roots: "засир обсир обосир просир высир насир подсир усир засер обсер обосер \
            просер высер",
        tails: "аем ать ал ала али ают аешь ает аю ай айте ающий ался алась ались аться",
    },
    Group {
        place: Place::Start,
        roots: "дрист дрисн",
        tails: "*",
    },
    // ссать
    Group {
        place: Place::Word,
        roots: "ссат ссал ссан ссыт ссыш ссым ссык обосс зассат зассал зассан зассы \
            зассых нассат нассал нассыт поссат поссал поссыт уссат уссал уссыв \
            проссат проссал обсса выссат ссак сцат сцал сцан сцыт сцых сцыш насцат \
            насцал обсца сыкун",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "ссу ссы нассу поссу зассу",
        tails: "- т сь ся",
    },
    // трахать
    Group {
        place: Place::Start,
        roots: "трах",
        tails: "ать ни нись нет нут ай айся арь",
    },
    // елда
    Group {
        place: Place::Word,
        roots: "елд",
        tails: FEMININE,
    },
    Group {
        place: Place::Word,
        roots: "елдак елдач",
        tails: "*",
    },
    // курва
    Group {
        place: Place::Word,
        roots: "скурв курвин курвищ курвятн",
        tails: "*",
    },
    // хер
    Group {
        place: Place::Word,
        roots: "хер",
        tails: "- а у ом ы ов ами",
    },
    Group {
        place: Place::Word,
        roots: "нахер нихер дохер нехер похер",
        tails: "- а ищ ища",
    },
    Group {
        place: Place::Word,
        roots: "похери похеря похерь похерен похерю охер захера",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "херн",
        tails: "я и ю ей е ею ь",
    },
    Group {
        place: Place::Start,
        roots: "херов херот херач херак херан херас хернул",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "нахрен похрен нехрен нихрен",
        tails: "- а",
    },
    // The lesser ones.
    Group {
        place: Place::Start,
        roots: "бзд",
        tails: "*",
    },
    Group {
        place: Place::Start,
        roots: "перд",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "минет",
        tails: "а у ом ы ов чик чица чицу чицы чицей чиц ик",
    },
    Group {
        place: Place::Word,
        roots: "отсоси сиськ сисек титьк факинг факю жидовск",
        tails: "*",
    },
    Group {
        place: Place::Word,
        roots: "падл шмар гомик ниггер битч",
        tails: "а ы у ой о и ов - е",
    },
    Group {
        place: Place::Word,
        roots: "падлюк падлюч охрен никуя паскуд письк писюн пернут пернул мокрощел",
        tails: "*",
    },
];

/// Stems of innocent words; a root within one does not count.
const INNOCENT: &[&str] = &[
    // страхуйте, психует, штрихуя, сплохуй, шахует: verbs in -овать.
    "страхуй страхуе страхуя психуй психуе психуя штрихуй штрихуе штрихуя сплохуй сплохуе \
        шахуй шахуе шахуя",
    // Names: Элиаху, Алемайеху, Аранхуэс, Хуэйчжоу, Нахуэль, Уэбстер, Эбнер, Уэббер.
    "элиахуе элиахуев айхуе майехуе майехуев аранхуе хуэ хуэль хуэй уэб эбне эбл эбар уеббер",
    // сваебойный, двоеборье, третьебрачный; эбен, эбони, Пуэбло; «её бы» without its space.
    "сваебо борье ьебр эбен ебони пуебло ееб ееби еебы",
    // «п. издание» without its dot.
    "пизданий пиздание пиздания пизданию",
    // межоператорский; Крыжополь, Дрочево, Дрочнево, Астрахань.
    "межоп крыжопол дрочев дрочнев астрахан",
    // The cake Захер, трахея, the name Минетти.
    "захер трахе минетт",
];

/// Stems of innocent words in Latin letters, as the Russian they sound like.
const INNOCENT_SOUNDS: &[&str] = &[
    // e-bank, e-banner, ebook, ebb, eyeball, eyebath.
    "ебанк ебанн ебоок ебб еебал еебат",
    // Joplin, Joppa, jobname, muddily, Suchard, sukkah.
    "жоплин жоппа йобнаме муддил сучард сукках",
    // Huevos, Huygens, Huitzilopochtli, Huelva, huemul, hueless, L'Huile, Astrakhan.
    "хуевос хуйген хуитз хуелв хуемул хуелес хуиле астрахан",
];

/// The tables for Russian letters.
pub(super) const TABLES: Tables = Tables {
    groups: &[BOTH, CYRILLIC],
    innocent: INNOCENT,
    prefixes: PREFIXES,
};

/// The tables for Latin letters.
pub(super) const SOUNDS: Tables = Tables {
    groups: &[BOTH],
    innocent: INNOCENT_SOUNDS,
    prefixes: PREFIXES,
};
