//! What channels publish beside the campaigns, and what people answer.

use crate::cast::Language::{self, Arabic, Chinese, English, Russian};

/// What a channel publishes beside the campaigns.
pub const fn posts(language: Language) -> &'static [&'static str] {
    match language {
        Chinese => &[
            "早安！今天整理了三个值得关注的选品方向,附上近三十天的搜索趋势,收藏起来慢慢看。",
            "很多新朋友问怎么进货,置顶消息里有完整的供应商名单和验货清单。",
            "本周茶话会主题：老白茶怎么存放才不跑味？欢迎在评论区晒出你的茶仓 🍵",
            "活动回顾：感谢两百多位朋友参加周末的线下见面会,照片已经上传。",
            "物流提醒：受台风影响,华南仓发货推迟一天,已下单的朋友请耐心等待。",
        ],
        Russian => &[
            "Доброе утро! Собрали пять скидок дня, которые действительно стоят внимания. Сохраняйте, чтобы не потерять.",
            "Разбор недели: почему рассылка по холодной базе съела бюджет и что мы изменили на второй день.",
            "Опрос: в какое время вам удобнее читать канал? Голосуйте, подстроим расписание под большинство.",
            "Читатели спрашивают, как отличить живой канал от накрученного. Пять признаков — в карточках 👇",
            "Итоги розыгрыша: поздравляем троих победителей, напишите нам в личные сообщения до вечера пятницы 🎉",
        ],
        English => &[
            "Morning thread: share one number you are watching this week and why it matters to your business.",
            "We read 40 onboarding flows so you don't have to. Here are the seven patterns that kept showing up.",
            "New this week: 23 fully remote roles across Europe, salaries included. Filter by time zone in the comments.",
            "Founder story: from side project to 1,200 paying teams, told with the real revenue chart 📈",
        ],
        Arabic => &[
            "صباح الخير! جمعنا لكم أفضل خمسة عروض لهذا اليوم مع رموز الخصم.",
            "نصيحة اليوم لرواد الأعمال: ابدأ بعميل واحد سعيد قبل أن تبحث عن الألف.",
            "تذكير: ينتهي عرض التوصيل المجاني الليلة عند منتصف الليل 🌙",
        ],
    }
}

/// What people write back, with what a client makes of it.
pub struct Reply {
    pub sentiment: &'static str,
    pub intent: &'static str,
    pub text: &'static str,
}

const fn positive(intent: &'static str, text: &'static str) -> Reply {
    Reply { sentiment: "positive", intent, text }
}

const fn question(text: &'static str) -> Reply {
    Reply { sentiment: "neutral", intent: "question", text }
}

const fn stop(text: &'static str) -> Reply {
    Reply { sentiment: "negative", intent: STOP, text }
}

/// The intent of whoever asks for no more messages.
pub const STOP: &str = "stop";

const CHINESE_REPLIES: &[Reply] = &[
    positive("order", "谢谢,正好需要,怎么下单？"),
    positive("praise", "已经买了两条,质量很好 👍"),
    question("请问可以开发票吗？"),
    question("水晶是天然的还是合成的？"),
    stop("请不要再发了,谢谢"),
];

const RUSSIAN_REPLIES: &[Reply] = &[
    positive("order", "Спасибо, как раз искала! Есть размер 44?"),
    positive("order", "Отлично, запишите меня"),
    question("А доставка в Казань есть?"),
    question("Сколько стоит?"),
    Reply {
        sentiment: "negative", intent: "complaint", text: "Дорого и непонятно, за что платить"
    },
    stop("Уберите меня из рассылки, пожалуйста"),
];

const ENGLISH_REPLIES: &[Reply] = &[
    positive("praise", "Love this, just signed up 🙌"),
    positive("order", "Yes please, table for two"),
    question("Does it work with more than one account?"),
    question("Is there a vegan option?"),
    stop("Please stop messaging me"),
];

const ARABIC_REPLIES: &[Reply] = &[
    positive("order", "شكراً، أريد الطلب 🌹"),
    question("كم السعر مع التوصيل؟"),
    question("هل العرض متاح يوم الأحد؟"),
    stop("الرجاء عدم إرسال رسائل أخرى"),
];

pub const fn replies(language: Language) -> &'static [Reply] {
    match language {
        Chinese => CHINESE_REPLIES,
        Russian => RUSSIAN_REPLIES,
        English => ENGLISH_REPLIES,
        Arabic => ARABIC_REPLIES,
    }
}

/// What our managers answer.
pub const fn answers(language: Language) -> &'static [&'static str] {
    match language {
        Chinese => &["您好,可以的,我把下单链接发给您。", "感谢回复！发票可以开,请发一下抬头。"],
        Russian => &[
            "Здравствуйте! Да, всё есть, сейчас пришлю ссылку на оплату.",
            "Спасибо за вопрос, отправила подробности.",
        ],
        English => &["Hi! Yes, that works. I've put you down.", "Thanks for asking! Here are the details."],
        Arabic => &["أهلاً بك! نعم متوفر، سأرسل لك الرابط الآن.", "شكراً لسؤالك، إليك التفاصيل."],
    }
}
