"""Words that are parts of people's names and ordinary words, places, months or makers as well.

Alone such a word says nothing about a person. English first, then German, French and Spanish; lower case, no accents.
"""

from __future__ import annotations

_FIRST_NAMES = """
abby able adelaide agate aim alba alexa alexandria amber amen amity angel apple april arch archer aria art ash asia
aspen aster aston athena august augusta aurora austin autumn avalon avery bailey barb basil bay bee belle berlin berry
bill birch bird biscuit blade blair blaze bliss blossom blue bob brandy bree briar brick bridge bristol brook brooke
brooklyn bruno buck bud buddy buffy bunny burt butch buzz caddy cadence cairo camber camden candy carbon carol carry
carter cash cassandra cat chad chance charity charlotte chase chastity chelsea cherish cherry chester chip christmas
chuck cinnamon clarity claude clay clem cliff clint clove colt constance coral creed crystal curt cyan daffodil dahlia
daisy dale dallas dash dawn dean delta denver derby destiny diamond dick dill dixie dolly dot drake drew duke dusty
earl easter easton echo eden ember emerald eve ever faith fawn fern fleur flick flint flora florence florida forest
fox frank gale garnet gay gemini genesis georgia ginger glade glen glory grace grant grey griffin guy gypsy hal halo
happy harbor harmony haven hazel heath heather henna herb hero hilton holly honey honor hope houston hudson hunt
hunter hyacinth iris israel ivory ivy jack jade jam jar jasmine java jay jazz jersey jesus jet jewel job jolly jordan
journey joy judge julia july june juniper justice justin kale kay kent kid king kingston knight lace lacy lance lane
lark laurel lavender leaf lee legacy leopard lex liberty lilac lilly lily lima lincoln linden link loch london lord
lot love lucky luna lux lyric mac mace madison magnolia magnum major malt maple march mark marsh marshal marshall
martial marvel mason maverick max maxim maximum may mead melody memory mercedes mercury mercy merit miles miller
millie ming mint miracle misty monday montana montgomery morgan moss myrtle navy neat neon neptune nevada nick noble
noon norm normal north nova oak oasis ocean octavia olive olympia omega onyx opal orchid otter otto oxford pace page
paige paisley pal pam pansy paris parker pat patience pax payton peace peaches pearl penny pepper phoenix pierce piper
pippin poet pop poppy porter prairie prince princess promise queen queenie quest quill quince rain rainbow raja ram
ranger raven ray rebel red reed reef regal reign remedy remy rex rich richmond ridge rio river rob robin robot rock
rocket rocky rod roger roman rome romeo rosa rose rosemary rowan roy royal royce ruby rue rusty rye sable sage sailor
salem sally salt samba sand sandy santa saturn savannah sawyer scarlet scarlett scot scout season sequoia serena
serene serenity shade shell sherry sienna sierra silver sky skylar slim smith soda sol sparrow spencer spike spring
star sterling stew stone storm story sue sugar sultan summer sun sunday sunny sunshine sydney tab tad taffy talon tam
tansy taylor teal temperance tennessee tex thistle thor thorn tibet tide tiger tiki timber tod topaz travis tree trend
trick trinity trixie true tucker tuesday tulip turk turner ty umber unique unity urban uri utah vale valencia valley
van vance vanity velvet venice venus verity verona victoria victory vienna viola violet virgin virginia vista viva
vivid wade walker warden warren watson wave webb wednesday west wheeler whit wilder will willow wills win winner
winter wisdom wolf wood woody wren yale york zen zephyr zip
"""

_LAST_NAMES = """
abbey abbot adler alder allen alley angle arm armor armour arms arrow ashe atlas bach bacon badger bagley bain baker
ball band banks banner barber bard bark barker barley barn barnes barney baron barr base basin basket bass bates
batten battle baum beach beacon beam bean bear beard beaver beck beech bell bellow bend bender bent berg best bible
bishop black blackman blake bland blank blanket blast blend block bloom blow blunt boar board boat body bold bolt bond
bone boom boone boot booth border born bosch boss boston bow bowl bowler bowles bowman box boy brace branch brand
brave bread breeze brewer bridges bright brim brock brooks broom brown browne brush buckle buckley bull bullock bunch
bunker burden burger burn burrows burton bush butcher butler butt butter button byrd cable cage cain call camp canal
cane cannon canon cap cape card cardinal care carey carpenter carr carrier cart carver case castle cave chamber
chambers champion chan chandler chapel chaplain chapman charge charm check cheek chief child childs china choice
christ church circle city clark claw clear cleaver clerk cleveland cloud clough club coal coast coates cobb cock
coffee coffey coffin coin coke cold cole collar collier colon comb comfort cone cook cookie cool cooper cope cord core
corn corner cotton couch counts court cove cover cow cox crab craft crane craven creek creel crew crisp croft crook
cross crouch crow crown cruise crum crump crush cruz culver cup curl curry curtain custer daily dame dance dark
darling dart day days deal dear decker deer dell devil dial dice diesel dish divine dock dodge dodo doe dollar donkey
donor door dove dover dow down downer downing downs draper draw dray drinkwater drive driver drum drummer dry duck
duff dull dunes dunk dunlap dunn dust dutch dwell dye dyer eager eagle early earnest east eastman easy edge egg elk
elm england english essex even evening eye fabric fair fairbanks fairchild falcon fall falls family fancy farm farmer
farthing fast faust favor favre fay fear feather feller fellow fence ferrari ferry field fielder fields fiesta fig
file fin finch fine finger fish fisher fist fitch fix flag flake flame flanders flash flatt fleet fleming fletcher
flock flood flores florist flour flower flowers fly fog folk force ford fore forester forge fort fortune forward
foster found fountain fowl fowler frame france franklin free freed freedom freeman freight french freud friar friday
fried friedman friend friends frost fry fudge fuller funk furlong furman gable gage gain gallant galley gamble game
gander gap garden gardener gardner garland garner gas gate gates gem general gentile gentle gentry german gift gill
gilly glad glass glaze gleam glover goat gold golden goldman good gooden goodman goose gore graf graft grain grand
grande grange granger graves gray green greene greenfield greenwood grid grill grimm grip groom gross ground grove
groves grow guest guide gulf gum gun gunner hack haft hail hair hale hall hallmark ham hammer hampton hand hands handy
hardwick hardy hare harness harp harper hart harvest harvey hatch hatter havens hawk hawke hawkins hawthorne hay
hazard head heard hearn heart heaven hedge heinz held helm help herd hernia herring herron hick hickory hicks hide
high hill hind hinds hine hines hinge hitch hitchcock hoar hobby hodge hoe hog holder hole holiday holland hollow holm
holt home homer honda hood hook hooker hooks hooper hoover hopper horn horse horton host hotel house houser huck huff
hulk hull human humble hummer hunger hurt husband hush hyde ice ideal inch india ireland irish irons isle jackson
jaguar jenkins jewell jobs johns jose jump junior just kaiser kant karma keen keep kelvin key keys kiln kilt kind kirk
kiss kitchen kite knave knee knob knock knot knott know knox lad lade lady lake lakes lamb lambert lame lamp land
landmark lang lange lantern lapp large last latch law lawless lawn laws lay layer layman leader leak lean lear leather
leech leeds legend lemon lent less lever light lightfoot lime lin line liner linn lion list lister little lively liver
loan lock lodge loft lone long longman look loop losing loving low lowe lower luck lunch mack magnet maid mail main
making male mall mallard malone man manger mango manners manning mansion manual marble marker market markets marks
marriott mars martian mass massey master masters masterson match mater mayor meadow meadows means mears medal meek
meeks melon mercer merchant merry messenger messer micro middleton midnight mill mills mims mine miner mingo minister
mink minor mist mix mode model moline money monk moody moon moor moore moose moral more mound mount mountain munch
muse mustard myers mystic nail nance napier nation naylor neal needle nest nettle nettles newberry newcomb newport
news nice nickel nickels night nightingale nixon nobles norfolk norris northern note nothing nutt nutter oaks oath
offer okay old oldfield olds orange orchard organ outlaw oven overall ox pack packard paddock pain paine painter pair
palace palm palmer pan pane pang paper parent parish park parks parrot parson parsons part partridge pasture patch
path pawn peach peacock peak pear pease pence penn people perch perfect person pickle pike pilgrim pillar pine pines
pink pitt pitts place plain plank plant plate player pleasant plum plumber plummer point pole pond pool poor pope
popper porsche port post poster potter potts pound pounds poverty powder power powers prada pray preacher prentice
press price pride priest prime pringle print prior proctor profit proper prosper proud pulley pullman purple pursuit
quail quarry quick quiet rabbit race radar radish rage rail rains rake ramp ranch rand randle range rank ranks rash
read reader reading ready rector redd redman rein rice richards richardson ride rider ridley rigs ring rising rivers
road roads robins rocks roll rolling rollins romano rood roof rook root roots rope rot round rouse rout rover rude
rule ruler rush rust sack saddler saint sale sales salmon salter sample samples sands santana sargent sash satin
savage saw saxon sayer scales scarf school schooner score scots scrap sea seal seaman sears seat self sell sellers
senior sequel sergeant service sessions settle severe shadow shakespeare shank shark sharp sharpe shay shed sheep
sheets sheffield shelf shelter shepard shepherd sheriff shield shields ship shipman shoe shoemaker shook shore shores
short shorter shot showers shrewsbury shuck sick siemens silk simmer simple singer singh single singleton sink
skeleton skinner slack slate slaughter slaw slide slow small smalls smart smiley smithson smoke smooth snider snipes
snow snowden sole son song soon soot sorrow soul south southern spade spain sparks spear spears speed speedy spell
spelling spender spice spider spinner spirit split spock springer sprinkle spruce spurs square squire squires stable
stack stacks staff stage stagg stall stamp stamps stanford staples stark start state staten stead steam steed steel
steele steen stein step stern steward stick still stillman stock stocker stocks stoker stoner stoop store stork stout
stow strait strand strange stranger straw strawberry stream street streets strength strick string stringer stroke
strong stump sturdy style styles suggs summers surface surprise swallow swan swann sweat sweet swell swift swing sword
table tack tag tale tall tea teach teague tell temper temple tennant tenor tent terrace tesla thick thin thorne thorp
thread thrift throne thunder thursday till tiller timberlake time times tin tinker tinsley tip tipper tips tire toll
tollman tool tooley tools topper torch tower towers towle town towns trace tracey track tract trade trail train
trainer trapp travel traveler travers treasure trees trench trent trigger trimble trip triplett trivia tropic trout
truck truly trump trunk trust truth tuck tune turkey turn turnipseed turns twist two union upchurch usher utter vail
vain valle vane vault veal vent ventura venture verse vest vicars vice view villa villain vine viner vines vital voice
wages wagon wait waite wake wales walk wall walls walnut walrus waltz ward ware warfield warm warner warning warrior
wash washer washington wasp waste watch water waterman waters watt watts way ways weaver web webster wedge weed week
weekes weekly weeks wein weld welder well wellington wells welsh western weston whale wheat wheel while whip whistler
white whole wick wicker wicks wide wild wilde wilderness willing winchester wind winder winds wine wing wings wink
winkle winters wire wise wish witch witness wonder woodall woodard wooden woodland woodman woodruff woods woodside
woodward woodwork wool word words workman works world worm worth worthy wrangler wright yang yard yards yarn year
yellow young youngblood younger zone
"""

_ELSEWHERE = """
admin administrator africa agent alegria amazon amor amsterdam ange angeles anonymous apache apollo arabia arena
argentina armani assistant athens audi avril azure baltimore bangkok barbier barcelona bavaria bel belgium bello benz
blanc blanca blanco boeing bogota bolivia bon bonnet boots boucher boulanger bourgeois brasil braun bravo brazil
britain brussels budapest bueno buffalo bugatti buyer cabello cabeza cadillac calle caller cambridge camino campo
campos canada captain carolina cartier casa casas casper castillo castrol chanel chevalier chevrolet chicago chile
chrysler cielo cisco citroen clair claro client cloche colgate colleague cologne colombia comte concepcion consuelo
contact copenhagen cordoba cornwall corona cortana cortes couture cuba customer dakota december demo detroit deux
devon diciembre dieu dior director disney django docker doctor domingo dublin dulce dyson egypt employee enero engel
espada esperanza estrella europe excel exeter fe february fedora ferrero fiat fischer flask flor fontaine forestier
franco frankfurt fuchs fuente galicia gato geneva genoa gentil gillette glasgow gracia gris gucci guerra gut hadoop
hamburg hannover hanover havana heide helsinki herbst hermes herr herz hierro hirsch hoch horizon hyundai illinois
inspector intel iowa istanbul italy jager jamaica january japan jardin jira joli juillet juin jung junio kafka kalt
kansas kenwood kenya kiel klug kohl konig kraft kramer kubernetes kurz lago lambo lancaster lawyer leal lehrer lexus
libertad lieutenant linux lisbon liverpool lobo lorraine lotus louisiana lucerne lufthansa luz madam madrid mai
manager manchester manila mar marchand marco markt martes maryland maserati mastercard mattel maven mazda meister
melbourne member memphis merced mercier mesa meta meunier mexico miami milagros milan milano miranda monaco mond mongo
monte montes morgen moulin munich nacht nairobi naples navarro nebraska neu newark nike nikon nino nissan nobody node
noir nokia norway november nurse ober october octobre octubre odessa officer ohio opel operator oracle order oregon
orlando oro oslo ost outlook owner palacio palacios palermo palma paloma panama panda pardo parma parra partner
pasteur pastor patient pavia paz pena perl perla persia perth peru petit pfeffer philips picard piedad pilar pilot
pinto pisa pixel platz poisson poland porto portugal postgres pozo prado prague president printemps private professor
public puebla puente puerto puma python quebec quito raspberry real recht redis reich reina reiter renard renault reno
rey rhine richter rico riga rios riviere roble roca rojo rolex rolls romania rosario rosas rossignol roth rouge roux
royer russia saab sala salinas salle salvador salzburg samsung san santiago santo santos saturday scala schmied
schneider schnell schon schule schwarz scotland secretary seiko selenium seller sender september seville siena
singapore sir siri skoda soledad someone sommer sonne sonntag sony spark steiner stolz strasse strauss stripe student
stuttgart support sussex swatch sweden tableau tailleur tampa teacher team teams test tester texas tokyo toledo ton
toro toronto torre toyota trento trinidad tunis turin twilio twitter ubuntu unknown user vaca vagrant vatican vendor
verdad verde vermont vida virtudes visa visitor vite vogt voll volvo wald warsaw warwick weg werk westminster windsor
winkler wirt worcester yahoo yamaha zapatero zara zeit zoom zurich
"""

ORDINARY = frozenset(word.encode() for word in f"{_FIRST_NAMES} {_LAST_NAMES} {_ELSEWHERE}".split())
"""What is not looked for alone."""

TITLES = frozenset(
    word.encode()
    for word in (
        "mr mrs ms miss mx dr doctor prof professor sir madam dame rev herr frau fraulein doktor mme mlle madame mademoiselle monsieur"
        " maitre sr sra srta senor senora senorita don dona signor signora ing dipl mag colleague patient"
    ).split()
)
"""What stands before a name, and is no part of it."""

MINOR = frozenset(
    word.encode()
    for word in (
        "de da del della di der den la las le les los van von und y e zu zum zur dos das du des ter ten af av bin ibn al el and et"
        " jr sr ii iii iv phd md esq"
    ).split()
)
"""Words inside a name that don't tell one person from another."""

BEFORE_PEOPLE = frozenset(
    word.encode()
    for word in (
        "ask asked asking by call called calling contact contacted dear email emailed told tell telling thank thanks met meet"
        " meeting reach reached remind reminded invite invited phone phoned text texted hi hello cc attn regards signed"
        " frag fragen fragte von bei herrn demander demande par chez avec pregunta pregunte dile con querida querido hola"
    ).split()
)
"""Words behind which a capital letter means somebody, even where the word itself is an ordinary one."""
