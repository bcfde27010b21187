//! What the campaigns say: Chinese, Russian, English, Arabic, mixed.

use std::ops::Range;

use crate::cast::Language::{self, Arabic, Chinese, English, Russian};
use crate::cast::{By, Campaign, Reach, Variant};

pub const CAMPAIGNS: &[Campaign] = &[
    Campaign {
        id: "cmp-zh-crystal-summer",
        name: "夏日水晶新品上市",
        language: Chinese,
        reach: Reach::Groups,
        by: By::Users,
        destination: "-1001407733126",
        targets: 120,
        link: "lnk-crystal-shop",
        goal: "purchase",
        value: 1_900..9_900,
        variants: &[
            Variant {
                id: "a",
                appeal: 52,
                texts: &[
                    "💎 夏日新品到店：天然紫水晶手链限量三百条,每一条都附鉴定证书。群友专享八五折,今晚十点前下单包邮,送檀木收纳盒。点击链接挑选属于你的颜色。",
                    "很多朋友问水晶怎么挑？看透度、看棉絮、看颜色分布。我们整理了一份选购指南,连同本周到货的黄水晶和粉水晶一起放在链接里,欢迎慢慢看。",
                ],
            },
            Variant {
                id: "b",
                appeal: 38,
                texts: &[
                    "水晶能量日 ✨ 满三百减五十,第二件半价。库存不多,先到先得,喜欢的姐妹抓紧时间。",
                    "今晚八点直播讲水晶：怎么净化、怎么搭配、怎么辨别真假。来直播间抽三位朋友送白水晶摆件。",
                ],
            },
        ],
    },
    Campaign {
        id: "cmp-zh-tea-spring",
        name: "明前龙井老客回访",
        language: Chinese,
        reach: Reach::People,
        by: By::Bot,
        destination: "-1001512077340",
        targets: 300,
        link: "lnk-tea-reorder",
        goal: "purchase",
        value: 2_400..17_900,
        variants: &[
            Variant {
                id: "a",
                appeal: 74,
                texts: &[
                    "您好,去年您订的明前龙井今年又到采摘季了。今年雨水均匀,香气比去年更高,老客户可以先试喝再下单,回复“试茶”我给您寄三泡。🍵",
                    "茶园今天刚炒好一批头采龙井,数量只有四十斤。给您留了两罐,价格和去年一样,需要的话今天回复我就可以。",
                ],
            },
            Variant {
                id: "b",
                appeal: 55,
                texts: &["新茶上市,老客户九折优惠,满五百元送手工建盏一只,点击查看今年的茶单和产地检测报告。"],
            },
        ],
    },
    Campaign {
        id: "cmp-zh-crossborder",
        name: "跨境电商选品公开课 Live",
        language: Chinese,
        reach: Reach::Groups,
        by: By::Users,
        destination: "-1001384500127",
        targets: 100,
        link: "lnk-class-zh",
        goal: "signup",
        value: 0..2_900,
        variants: &[
            Variant {
                id: "a",
                appeal: 61,
                texts: &[
                    "🚀 周四晚八点免费公开课：一个三人小团队如何用 Telegram 社群做到月销一百万卢布。讲选品、物流、收款三件事,名额两百位,报名送俄罗斯市场热销榜。",
                    "做俄罗斯市场的朋友注意：Ozon 新政策下个月生效,我们请到两位老卖家拆解影响和对策,公开课免费报名,错过没有回放。",
                ],
            },
            Variant {
                id: "b",
                appeal: 44,
                texts: &["选品难？物流慢？收款贵？一堂课讲清楚。点击报名,课后资料自动发送到您的聊天窗口。"],
            },
        ],
    },
    Campaign {
        id: "cmp-ru-sale",
        name: "Летняя распродажа: последние размеры",
        language: Russian,
        reach: Reach::Groups,
        by: By::Users,
        destination: "-1001290466815",
        targets: 150,
        link: "lnk-sale-ru",
        goal: "purchase",
        value: 149_000..899_000,
        variants: &[
            Variant {
                id: "a",
                appeal: 58,
                texts: &[
                    "🔥 Последние размеры летней коллекции: скидка 40 % до воскресенья. Платья из хлопка от 1 490 ₽, доставка по Москве завтра, примерка бесплатно. Забирайте, пока есть ваш размер!",
                    "Распродажа началась раньше для подписчиков: ещё сутки цены видны только по ссылке. Льняные рубашки, сандалии и сумки — минус 40 %.",
                ],
            },
            Variant {
                id: "b",
                appeal: 41,
                texts: &[
                    "Две вещи по цене одной. Выберите любые две из раздела «Лето», меньшую оплачивать не нужно. Промокод ЛЕТО2 действует три дня.",
                ],
            },
            Variant {
                id: "c", appeal: 33, texts: &["Скидки до 40 % на всё лето. Смотреть каталог →"]
            },
        ],
    },
    Campaign {
        id: "cmp-ru-course",
        name: "Курс «Таргет в Telegram»: второй поток",
        language: Russian,
        reach: Reach::People,
        by: By::Users,
        destination: "-1001173902254",
        targets: 230,
        link: "lnk-course-ru",
        goal: "purchase",
        value: 490_000..1_900_000,
        variants: &[
            Variant {
                id: "a",
                appeal: 66,
                texts: &[
                    "Здравствуйте! Вы скачивали наш чек-лист по рекламе в каналах. Во вторник стартует второй поток курса: восемь занятий, разбор ваших кампаний и чат с поддержкой. Рассказать подробнее?",
                    "Открыли запись на второй поток. Выпускники первого снизили цену подписчика в среднем на треть, их цифры и отзывы собрали на одной странице.",
                ],
            },
            Variant {
                id: "b",
                appeal: 49,
                texts: &[
                    "Осталось 12 мест на курс «Таргет в Telegram». До пятницы можно оплатить по цене раннего бронирования. 🎓",
                ],
            },
        ],
    },
    Campaign {
        id: "cmp-ru-garden",
        name: "Саженцы осенью — дача и сад",
        language: Russian,
        reach: Reach::Groups,
        by: By::Users,
        destination: "-1001310592877",
        targets: 80,
        link: "lnk-garden-ru",
        goal: "purchase",
        value: 59_000..420_000,
        variants: &[
            Variant {
                id: "a",
                appeal: 55,
                texts: &[
                    "🌱 Саженцы яблони и смородины с закрытой корневой системой: посадите сейчас — урожай уже следующим летом. Привезём на дачу в пределах 50 км от МКАД, агроном ответит на вопросы в чате.",
                    "Какие сорта переживут холодную зиму в Подмосковье? Собрали десять проверенных яблонь с фотографиями и отзывами соседей по саду.",
                ],
            },
            Variant {
                id: "b",
                appeal: 46,
                texts: &[
                    "Неделя гортензий: третий куст в подарок, удобрение бесплатно. Заказывайте до четверга, доставим к выходным.",
                ],
            },
        ],
    },
    Campaign {
        id: "cmp-en-saas-launch",
        name: "Launch week: InboxPilot 2.0",
        language: English,
        reach: Reach::Groups,
        by: By::Users,
        destination: "-1001445209968",
        targets: 110,
        link: "lnk-inboxpilot",
        goal: "signup",
        value: 0..9_900,
        variants: &[
            Variant {
                id: "a",
                appeal: 49,
                texts: &[
                    "🚀 InboxPilot 2.0 is live: one shared inbox for every Telegram account your support team runs. Founders from this group get three months free, no card needed. Tell us what breaks!",
                    "We cut first-response time from 41 to 6 minutes with saved replies and routing rules. Here is the exact setup, with screenshots, free to copy.",
                ],
            },
            Variant {
                id: "b",
                appeal: 37,
                texts: &[
                    "Still answering customers from your personal phone? Try InboxPilot free for 14 days and get your evenings back.",
                ],
            },
        ],
    },
    Campaign {
        id: "cmp-en-brunch",
        name: "Brunch Club: autumn tables 🥞",
        language: English,
        reach: Reach::People,
        by: By::Users,
        destination: "-1001445209968",
        targets: 190,
        link: "lnk-brunch",
        goal: "booking",
        value: 2_400..9_600,
        variants: &[
            Variant {
                id: "a",
                appeal: 82,
                texts: &[
                    "Hi! Two tables opened up for Sunday at Columbia Road: bottomless filter coffee, ricotta pancakes, and the flower market after. Members book first, shall I hold a seat for you?",
                    "Our autumn menu tasting is on Saturday at eleven. Bring a friend and the second plate is on us 🍂",
                ],
            },
            Variant {
                id: "b",
                appeal: 63,
                texts: &["This weekend only: 20% off brunch for two in Hackney. Book by Friday, cancel any time."],
            },
        ],
    },
    Campaign {
        id: "cmp-ar-deals",
        name: "عروض نهاية الأسبوع في دبي",
        language: Arabic,
        reach: Reach::Groups,
        by: By::Users,
        destination: "-1001620713392",
        targets: 90,
        link: "lnk-deals-ar",
        goal: "purchase",
        value: 1_400..13_600,
        variants: &[
            Variant {
                id: "a",
                appeal: 57,
                texts: &[
                    "🛍️ عروض نهاية الأسبوع بدأت: خصم يصل إلى ٥٠٪ على العطور والعود مع توصيل مجاني داخل دبي حتى مساء السبت. الكمية محدودة، اطلب الآن من الرابط.",
                    "لأعضاء القناة فقط: اشترِ عطرين واحصل على الثالث هدية، والتوصيل في نفس اليوم.",
                ],
            },
            Variant {
                id: "b",
                appeal: 40,
                texts: &["تخفيضات كبيرة على مستلزمات المنزل، شاهد القائمة الكاملة واختر ما يناسبك ✨"],
            },
        ],
    },
    Campaign {
        id: "cmp-mix-china-ru",
        name: "中俄物流 Доставка из Китая",
        language: Russian,
        reach: Reach::People,
        by: By::Users,
        destination: "-1001692054418",
        targets: 160,
        link: "lnk-cargo",
        goal: "lead",
        value: 0..350_000,
        variants: &[
            Variant {
                id: "a",
                appeal: 60,
                texts: &[
                    "Доставка из Китая за 12 дней: 义乌 и 广州 → Москва, от 2,4 $ за кг. Считаем стоимость вместе с таможней, фото груза на складе каждый день. Прислать расчёт?",
                    "您好 👋 我们提供义乌到莫斯科的双清包税专线,十二天到门。Напишите вес и объём — посчитаем сегодня.",
                ],
            },
            Variant {
                id: "b",
                appeal: 43,
                texts: &[
                    "Карго из Гуанчжоу: первая отправка до 100 кг со скидкой 15 %. Страховка включена, 安全到货。",
                ],
            },
        ],
    },
    Campaign {
        id: "cmp-ru-club",
        name: "Клуб маркетологов: напоминания",
        language: Russian,
        reach: Reach::People,
        by: By::Bot,
        destination: "-1001173902254",
        targets: 170,
        link: "lnk-club-ru",
        goal: "subscription",
        value: 99_000..290_000,
        variants: &[
            Variant {
                id: "a",
                appeal: 64,
                texts: &[
                    "Сегодня в 19:00 разбираем рекламу участников в прямом эфире. Нажмите «Буду», и мы напомним за час. 🔔",
                    "Вышел новый разбор: три канала, три бюджета, один вывод. Запись открыта для участников клуба до воскресенья.",
                ],
            },
            Variant {
                id: "b",
                appeal: 47,
                texts: &["Опрос недели: какой формат эфира вам удобнее? Выберите ответ на кнопках ниже."],
            },
        ],
    },
    Campaign {
        id: "cmp-ar-loyalty",
        name: "نادي عملاء دبي",
        language: Arabic,
        reach: Reach::People,
        by: By::Bot,
        destination: "-1001620713392",
        targets: 100,
        link: "lnk-loyalty-ar",
        goal: "purchase",
        value: 1_900..9_900,
        variants: &[
            Variant {
                id: "a",
                appeal: 59,
                texts: &["مرحباً! لديك نقاط تنتهي هذا الأسبوع، اضغط الزر لاستبدالها بقسيمة شراء 🎁"],
            },
            Variant {
                id: "b",
                appeal: 44,
                texts: &["هدية الأعضاء لهذا الأسبوع: توصيل مجاني لكل الطلبات حتى يوم الخميس."],
            },
        ],
    },
    Campaign {
        id: "cmp-ru-stream",
        name: "Интенсив: чат потока",
        language: Russian,
        reach: Reach::Stream,
        by: By::Users,
        destination: "-1001173902254",
        targets: 8,
        link: "lnk-stream-ru",
        goal: "purchase",
        value: 990_000..1_900_000,
        variants: &[Variant {
            id: "a",
            appeal: 120,
            texts: &[
                "Задание дня: соберите десять каналов вашей темы и оцените охват каждого за сутки. Таблица и пример — по ссылке.",
                "Напоминаем: эфир с разбором домашних работ в 20:00, запись появится завтра утром.",
            ],
        }],
    },
];

/// Posts that we buy in channels of others, to win subscribers for a channel of ours.
pub struct Promotion {
    pub id: &'static str,
    pub name: &'static str,
    pub language: Language,
    pub destination: &'static str,
    pub link: &'static str,
    /// Hundredths of the currency for a thousand views. Invented, in the order of what channels of business ask.
    pub cpm: Range<i64>,
    pub texts: &'static [&'static str],
}

pub const PROMOTIONS: &[Promotion] = &[
    Promotion {
        id: "cmp-zh-posts",
        name: "跨境频道广告投放",
        language: Chinese,
        destination: "-1001384500127",
        link: "lnk-posts-zh",
        cpm: 700..1_400,
        texts: &[
            "做跨境的朋友都在看的频道：每天三条选品思路,附趋势和利润测算,不卖课不拉群。点击加入 👉",
            "刚入行不知道卖什么？这个频道把俄罗斯、中东、东南亚的热销榜每周整理一次,免费看。",
        ],
    },
    Promotion {
        id: "cmp-ru-posts",
        name: "Закупка постов: «Маркетинг без воды»",
        language: Russian,
        destination: "-1001173902254",
        link: "lnk-posts-ru",
        cpm: 60_000..115_000,
        texts: &[
            "Канал, который читают маркетологи, когда надоели кейсы без цифр. Бюджеты, ошибки и выводы — каждый день в 10 утра.",
            "Сколько стоит подписчик в вашей нише? Автор канала «Маркетинг без воды» разобрал 300 закупок и выложил таблицу.",
        ],
    },
    Promotion {
        id: "cmp-en-posts",
        name: "Bought posts: Indie SaaS Founders",
        language: English,
        destination: "-1001445209968",
        link: "lnk-posts-en",
        cpm: 900..1_700,
        texts: &[
            "Building a SaaS on your own? 6,000 founders share real numbers here every day: pricing, churn, what failed. Join free.",
            "The revenue chart nobody posts on X: how founders in this channel went from 0 to 10k a month, and what it cost.",
        ],
    },
    Promotion {
        id: "cmp-ar-posts",
        name: "إعلانات في القنوات",
        language: Arabic,
        destination: "-1001620713392",
        link: "lnk-posts-ar",
        cpm: 700..1_300,
        texts: &["أقوى عروض دبي كل صباح في قناة واحدة: عطور، إلكترونيات، مطاعم. انضم مجاناً 🛍️"],
    },
];
