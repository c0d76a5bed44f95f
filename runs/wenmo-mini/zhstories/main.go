// Zhstories prints short Chinese stories for children and requests for them, one
// JSON object a line: what last.toml teaches a small model to tell when it is asked.
// They are put together from the plots below, which were written for wenmo: each part
// has several wordings, and animals, children, things and places change.
//
//	go run ./runs/wenmo-mini/zhstories > zh-stories.jsonl
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
)

const (
	stories = 6000
	seed    = 1
)

// words are what stands for {kind} in a plot. {kind1} and {kind2} are different
// words; the same name is the same word throughout a story. All animals are counted
// with 只, all things and foods with 个.
var words = map[string][]string{
	"animal":  {"小猫", "小狗", "小兔子", "小熊", "小鸭子", "小狐狸", "小松鼠", "小刺猬", "小猴子", "小鹿", "小羊", "小老鼠", "小青蛙", "小鸟", "小猪", "小乌龟"},
	"walker":  {"小猫", "小狗", "小兔子", "小熊", "小狐狸", "小猴子", "小羊", "小老鼠", "小鹿"},
	"climber": {"小猫", "小猴子", "小松鼠"},
	"fast":    {"小兔子", "小狗", "小狐狸", "小鹿", "小猫"},
	"slow":    {"小乌龟", "小鸭子", "小刺猬", "小蜗牛"},
	"tiny":    {"小老鼠", "小青蛙", "小鸟", "小刺猬", "小松鼠"},
	"large":   {"小熊", "小狐狸", "小狗", "小羊", "小鹿", "小猪"},
	"child":   {"小明", "小红", "丽丽", "阿宝", "乐乐", "安安", "毛毛", "小军", "小芳", "亮亮", "圆圆", "豆豆"},
	"thing":   {"红气球", "皮球", "铃铛", "小木马", "布娃娃", "小灯笼", "小喇叭", "花环", "小口袋", "小闹钟"},
	"food":    {"苹果", "桃子", "梨", "西瓜", "面包", "蛋糕", "橘子", "南瓜"},
	"fruit":   {"苹果", "桃子", "梨", "橘子", "柿子"},
	"crop":    {"玉米", "南瓜", "柿子", "栗子", "核桃"},
	"elder":   {"妈妈", "爸爸", "奶奶", "爷爷"},
	"place":   {"森林里", "山脚下", "村子里", "花园里", "湖边", "草地上", "果园里", "大山里"},
	"open":    {"草地上", "山坡上", "海边", "广场上"},
	"colour":  {"红色", "黄色", "蓝色", "白色", "紫色", "粉色"},
	"leaf":    {"黄色", "红色"},
	"day":     {"有一天", "一天早上", "有一天下午", "一个星期天"},
}

// A plot is parts in several wordings, divided by |.
var plots = [][]string{
	{ // something lost
		"从前，{place}住着一只{animal1}。|很久以前，{place}有一只{animal1}。",
		"它有一个最喜欢的{thing}。|它每天都带着一个{thing}。|它的{elder}送给它一个{thing}，它喜欢极了。",
		"{day}，{thing}不见了，{animal1}急得哭了起来。|{day}，它发现{thing}不见了，心里很难过，坐在路边哭。",
		"{animal2}听见了，走过来问：“你怎么了？”|{animal2}看见它，就问：“你为什么哭呢？”",
		"{animal1}说：“我的{thing}丢了。”|“我找不到我的{thing}了。”{animal1}说。",
		"“别着急，我帮你找。”{animal2}说。|{animal2}说：“我们一起去找吧。”",
		"它们找了又找，最后在一棵大树后面找到了{thing}。|它们走了很远，看见{thing}就在草丛里。",
		"{animal1}高兴极了，说：“谢谢你！”|{animal1}笑了，对{animal2}说：“谢谢你，你真好。”",
		"从那以后，它们成了好朋友。|从此，它们天天在一起玩。",
	},
	{ // sharing
		"{day}，{animal1}在{place}找到了一个大{food}。|{day}，{elder}给了{animal1}一个很大的{food}。",
		"它想：“这么大的{food}，我要一个人吃。”|它很高兴，想一个人把{food}吃完。",
		"这时候，{animal2}走了过来，它已经一天没有吃东西了。|忽然，它看见{animal2}坐在路边，肚子饿得咕咕叫。",
		"{animal1}看了看{food}，又看了看{animal2}。|{animal1}想了一会儿。",
		"它把{food}分成两半，说：“我们一起吃吧。”|“来，我们一人一半。”{animal1}说。",
		"{animal2}吃完了，说：“这是我吃过的最好吃的{food}。”|{animal2}高兴地说：“谢谢你，{food}真好吃！”",
		"{animal1}觉得，和朋友一起吃的{food}更香。|{animal1}笑了，它明白了，分享是一件快乐的事。",
	},
	{ // a bridge
		"从前有一条小河，河水很急，河边住着一只{walker1}。|山脚下有一条小河，河上没有桥。",
		"{day}，{walker1}要过河去看{elder}，可是水太深了，它过不去。|{day}，{walker1}想到河的那一边去摘{fruit}，可是水太深了，它不敢下去。",
		"{walker2}走过来说：“别怕，我有办法，我们来造一座桥吧！”|“我们来造一座桥吧！”{walker2}说。",
		"它们搬来了石头和木头，忙了一整天。|它们一起搬木头，从早上忙到晚上。",
		"桥终于造好了，{walker1}高高兴兴地过了河。|第二天，一座小桥造好了，大家都很高兴。",
		"后来，小动物们都从这座桥上走过。|从那以后，谁要过河都走这座小桥。",
		"大家都说：“谢谢{walker1}和{walker2}！”|大家给小桥起了一个名字，叫朋友桥。",
	},
	{ // afraid of the dark
		"{animal1}很怕黑，晚上不敢一个人睡觉。|从前有一只{animal1}，它什么都不怕，只怕黑。",
		"一天晚上，{animal1}躲在被子里，一动也不敢动。|一天晚上，{animal1}睡不着，它觉得外面有声音。",
		"{elder}走进来，问：“你怎么还不睡？”|{elder}听见了，坐到它的床边，问它怎么了。",
		"“我怕黑。”{animal1}小声说。|{animal1}说：“外面太黑了，我害怕。”",
		"{elder}打开窗户，说：“你看，天上有月亮和星星。”|{elder}抱着它走到窗前：“你看，月亮在看着我们呢。”",
		"月亮又圆又亮，星星一闪一闪的。|月光照在地上，像铺了一层银子。",
		"{animal1}看着星星，慢慢地不怕了。|“原来黑夜这么美！”{animal1}说。",
		"不一会儿，它就甜甜地睡着了。|它闭上眼睛，做了一个好梦。",
	},
	{ // a child and a seed
		"{child1}在{place}捡到了一颗种子。|{day}，{elder}给了{child1}一颗小小的种子。",
		"{child1}把种子种在花盆里，每天给它浇水。|{child1}把它种在土里，每天都去看它。",
		"一天过去了，两天过去了，种子还没有发芽。|过了好几天，什么也没有长出来。",
		"{child1}有点儿着急，问{elder}：“它为什么不长呢？”|{child1}问{elder}：“它是不是睡着了？”",
		"{elder}说：“别急，好东西要慢慢等。”|{elder}笑着说：“再等一等，它正在地下长根呢。”",
		"一天早上，{child1}看见了一片小小的绿叶。|下了一场雨，种子终于发芽了。",
		"夏天来了，它开出了一朵{colour}的花。|后来，它越长越高，开出了{colour}的花。",
		"{child1}高兴地说：“等一等是值得的！”|{child1}笑了，从此学会了耐心等待。",
	},
	{ // a kite
		"{day}，{child1}和{child2}一起去{open}放风筝。|{day}，风很大，{child1}和{child2}带着风筝来到{open}。",
		"风筝是{colour}的，像一只大鸟。|他们的风筝是{colour}的，尾巴很长。",
		"风筝飞得很高很高，两个孩子高兴得又跑又跳。|{child1}拉着线，{child2}在后面跑，风筝飞上了天。",
		"忽然，线断了，风筝落在一棵大树上。|忽然一阵大风，风筝挂在了树上。",
		"{child1}急得快哭了，{child2}说：“别哭，我们想想办法。”|“怎么办呢？”{child1}问。",
		"一只{climber}看见了，爬上树，把风筝拿了下来。|这时飞来一只小鸟，它把风筝叼了下来。",
		"{child1}和{child2}说：“谢谢你！”|他们高兴极了，连声说谢谢。",
		"天快黑了，他们手拉着手回家了。|他们又玩了一会儿，才高高兴兴地回家。",
	},
	{ // rain and an umbrella
		"下雨了，{walker1}打着一把{colour}的伞走在路上。|{day}，忽然下起了大雨，{walker1}打开了它的{colour}雨伞。",
		"它看见{walker2}站在树下，身上都湿了。|走着走着，它看见{walker2}正在淋雨。",
		"“快到我的伞下面来吧！”{walker1}说。|{walker1}说：“来，我们一起走。”",
		"走了一会儿，它们又遇见了{walker3}，{walker3}也没有带伞。|前面，{walker3}也在淋雨，它们就叫它一起来。",
		"“伞太小了，怎么办呢？”{walker2}问。{walker1}说：“挤一挤就好了。”|三个朋友挤在一把小小的伞下面，一点儿也不觉得冷。",
		"雨停了，天上出现了一道彩虹。|过了一会儿，太阳出来了，天边有一道美丽的彩虹。",
		"它们说：“和朋友在一起，下雨天也很快乐。”|三个朋友看着彩虹，开心地笑了。",
	},
	{ // a lie
		"从前，{place}有一只爱说谎的{walker1}。|{place}的{walker1}很聪明，可是它喜欢骗人。",
		"{day}，它大声喊：“狼来了！狼来了！”|{day}，它觉得没意思，就喊：“快来呀，狼来了！”",
		"{walker2}和{walker3}马上跑来帮忙，可是哪里有狼呢？|大家都跑来了，却没有看见狼。",
		"{walker1}哈哈大笑，大家都很生气。|“我是说着玩的。”{walker1}笑着说。",
		"第二天，狼真的来了，{walker1}吓得大叫。|过了几天，真的来了一只狼，{walker1}拼命地喊。",
		"可是没有人相信它。|大家都想：它又在骗人了。",
		"{walker1}跑得很快，好不容易才逃回家。|幸好{elder}听见了，把狼赶走了。",
		"从此，{walker1}再也不说谎了。|{walker1}哭着说：“我以后再也不骗人了。”",
	},
	{ // a race
		"{fast}跑得很快，它常常笑话{slow}走得慢。|{place}的{fast}总是说：“谁也没有我快！”",
		"{day}，{slow}说：“我们来比一比吧。”|{day}，{slow}要和它赛跑，大家都来看。",
		"比赛开始了，{fast}一下子跑到了前面。|一声令下，{fast}像风一样跑了出去。",
		"它回头一看，{slow}还在很远的地方。“我先睡一会儿吧。”{fast}想。等它醒来的时候，{slow}已经快到终点了。|跑了一半，它看不见{slow}了，就躺在草地上睡着了。它睡了很久很久，醒来一看，{slow}已经走到前面去了。",
		"原来，{slow}一步一步地走，一直没有停。|{slow}走得很慢，可是一步也不停。",
		"最后，{slow}先到了，大家都为它鼓掌。|{fast}拼命地跑，可是来不及了，{slow}得了第一名。",
		"{fast}红着脸说：“我明白了，不能骄傲。”|从那以后，{fast}再也不笑话别人了。",
	},
	{ // a birthday
		"今天是{animal1}的生日，可是没有一个朋友来找它。|这一天是{animal1}的生日，它一早就起来了，等着朋友们来。",
		"它去找{animal2}，{animal2}不在家。它又去找{animal3}，{animal3}也不在家。|它在{place}走来走去，一个朋友也没有看见。",
		"“大家都忘了我的生日。”它难过地想。|{animal1}低着头，慢慢地走回家。",
		"它推开门，忽然听见大家喊：“生日快乐！”|门一打开，灯亮了，朋友们都在屋子里。",
		"桌子上有一个大大的蛋糕，还有一个{thing}。|{animal2}送给它一个{thing}，{animal3}送给它一个{food}。",
		"原来，大家想给它一个惊喜。|原来朋友们一直在准备这件事。",
		"{animal1}笑了，这是它最快乐的一天。|{animal1}说：“谢谢你们，我太高兴了！”",
	},
	{ // the moon
		"一天晚上，{child1}看着月亮，想：“月亮上有什么呢？”|{child1}很喜欢月亮，每天晚上都要看一看。",
		"{child1}问{elder}：“我能去月亮上玩吗？”|{child1}说：“{elder}，我想去月亮上玩。”",
		"{elder}笑着说：“在梦里就可以。”|{elder}说：“你快睡吧，也许梦里能去。”",
		"夜里，{child1}做了一个梦，梦见自己坐着一只小船飞上了天。|{child1}睡着了，梦见一只大鸟来接自己。",
		"月亮上有一只{animal}，正在吃{food}。|月亮上到处都是{colour}的花，一只{animal}在花里跳舞。",
		"“欢迎你！”{animal}说，“我等你很久了。”|{animal}送给{child1}一个{thing}，他们玩得很开心。",
		"天亮了，{child1}醒了，原来是一个梦。|太阳出来了，{child1}揉揉眼睛，原来是在做梦。",
		"{child1}笑着说：“今天晚上我还要去！”|{child1}对{elder}说：“月亮是我的好朋友。”",
	},
	{ // a tiny one who is brave
		"从前有一只很小很小的{tiny}，大家都叫它小不点儿。|{place}住着一只{tiny}，它是最小的一个。",
		"{large}说：“你太小了，什么也做不了。”|大家玩的时候，{large}总是不带它。",
		"{tiny}听了很难过，可是它什么也没说。|{tiny}想：“总有一天，我也能帮助大家。”",
		"{day}，{large}的{thing}掉进了一个小洞里，怎么也拿不出来。|{day}，{large}不小心把{thing}掉进了树洞里，急得快哭了。",
		"洞口太小了，大家都进不去。|大家急得团团转，可是没有办法。",
		"{tiny}说：“让我来试试吧。”|“我可以！”{tiny}说。",
		"它钻进洞里，把{thing}拿了出来。|它小心地爬进洞里，一会儿就带着{thing}出来了。",
		"大家都说：“你真勇敢！”|{large}说：“对不起，谢谢你。”从此，再也没有人笑它小了。",
	},
	{ // a wish
		"{day}，{child1}在河边救了一条小鱼。|从前有个孩子叫{child1}，有一天在河边看见一条受伤的小鱼，就把它放回水里。",
		"小鱼说：“谢谢你，我可以满足你一个愿望。”|小鱼忽然说话了：“你想要什么？我都可以给你。”",
		"{child1}想要一个{thing}，又想要很多{food}。|{child1}想了又想：要{food}呢，还是要{thing}呢？",
		"这时，{child1}想起{elder}病了，躺在床上。|忽然，{child1}想到了家里生病的{elder}。",
		"{child1}说：“我希望{elder}快点儿好起来。”|“请让{elder}的病好起来吧。”{child1}说。",
		"小鱼点点头，游走了。|小鱼摇了摇尾巴，不见了。",
		"{child1}跑回家，看见{elder}正在门口笑着等自己。|回到家里，{elder}已经好了，正在做饭。",
		"{child1}觉得，这是最好的愿望。|{child1}抱住{elder}，心里比吃了蜜还甜。",
	},
	{ // autumn and winter
		"秋天到了，{animal1}忙着收{crop}。|秋天来了，树叶变成了{leaf}，{animal1}开始准备过冬。",
		"{animal2}却每天在{place}唱歌、睡觉。|{animal2}天天在太阳下面玩，什么也不做。",
		"{animal1}说：“冬天快来了，你也准备一点儿吃的吧。”|“你为什么不收一点儿{crop}呢？”{animal1}问。",
		"{animal2}说：“还早呢，明天再说吧。”|{animal2}笑着说：“急什么，先玩吧。”",
		"冬天来了，到处都是白白的雪，地上什么吃的也没有了。|下雪了，天气很冷，{animal2}什么吃的也找不到。",
		"{animal2}又冷又饿，来敲{animal1}的门。|{animal2}饿得走不动了，只好去找{animal1}。",
		"{animal1}打开门，给了它很多{crop}。|“快进来吧。”{animal1}说，“我们一起吃。”",
		"{animal2}说：“明年我要和你一起干活。”|{animal2}红着脸说：“谢谢你，我以后再也不偷懒了。”",
	},
	{ // a young one that is lost
		"{walker1}跟着{elder}去{place}玩。|{day}，{walker1}和{elder}一起去{place}。",
		"它看见一只美丽的蝴蝶，就追了上去，追着追着，迷路了。|路边开着{colour}的花，它跑过去看，等它抬起头来，{elder}已经不见了。",
		"它害怕极了，坐在石头上哭了起来。|它大声喊，可是没有人回答，它急得哭了。",
		"{walker2}走过来说：“别哭，我带你回家。”|一只{walker2}听见了，说：“别哭，小朋友，你家在哪里？”",
		"{walker1}说：“我家门前有一棵大树，树下有{colour}的花。”|“我家在山的那一边。”{walker1}说。",
		"{walker2}带着它走过小桥，穿过树林，终于到家了。|它们走了很久，终于听见了{elder}的声音。",
		"{elder}抱住{walker1}，说：“以后不要乱跑了。”|{walker1}扑到{elder}的怀里，再也不乱跑了。",
	},
	{ // music
		"{animal1}喜欢唱歌，可是它唱得不好听。|{place}的{animal1}每天都唱歌，大家都说它唱得不好。",
		"{animal2}捂着耳朵说：“别唱了！”|“太吵了！”{animal2}说。",
		"{animal1}很伤心，一个人走到河边。|它难过地离开了家，来到一条小河边。",
		"在那里，它遇见了一只会吹笛子的{animal3}。|它听见有人在吹笛子，原来是{animal3}。",
		"{animal3}说：“我来教你吧，每天练一练就好了。”|“我们一起练习吧。”{animal3}说。",
		"它们从春天练到秋天，一天也没有停。|{animal1}每天早上都练习，刮风下雨也不怕。",
		"后来，大家开音乐会，{animal1}唱了一首歌。|冬天来了，它们一起唱歌给大家听。",
		"大家都鼓掌，{animal2}说：“真好听！”|歌声美极了，连月亮也出来听。",
	},
	{ // a snowman
		"下雪了，{child1}和{child2}在门口堆了一个雪人。|冬天的早上，到处都是雪，{child1}和{child2}跑出去堆雪人。",
		"他们给雪人戴上{colour}的帽子，用胡萝卜做鼻子。|雪人有大大的眼睛，还有一条{colour}的围巾。",
		"晚上，雪人忽然眨了眨眼睛，说：“你们好，我们一起玩吧！”|夜里，{child1}听见有人敲窗户，原来是雪人来找他们玩。",
		"他们在月光下跑啊，跳啊，玩得很开心。|他们一起滑雪，一直玩到半夜。",
		"春天来了，雪人化成了水，流到了小河里。|天气变暖了，雪人一天一天变小，最后不见了。",
		"{child2}很难过，{child1}说：“别难过，明年冬天再见！”|他们知道，下一个冬天，雪人还会回来的。",
	},
	{ // planting a tree
		"{elder}和{child1}在院子里种了一棵小树。|{day}，{child1}和{elder}一起种了一棵小树。",
		"“它什么时候能长大呢？”{child1}问。|{child1}每天给小树浇水，和它说话。",
		"{elder}说：“等你长大了，它也长大了。”|{elder}说：“它和你一样，要慢慢长。”",
		"一年又一年，小树长高了，{child1}也长高了。|春天过去了，冬天过去了，小树一年比一年高。",
		"有一年夏天，树上来了一只{climber}，在这里安了家。|后来，小鸟在树上做了窝，每天唱歌。",
		"大家在树下乘凉、讲故事。|{child1}常常坐在树下看书。",
		"{child1}摸着大树说：“谢谢你陪我长大。”|{child1}对{elder}说：“我们再种一棵吧！”",
		"风吹过来，树叶沙沙地响，好像在笑。|大树摇摇叶子，好像在说：好啊，好啊。",
	},
	{ // a star that fell
		"一天夜里，一颗小星星从天上掉了下来，落在{place}。|从前，有一颗小星星，有一天夜里从天上掉到了{place}。",
		"{animal1}看见了，问：“你是谁？为什么会发光？”|{animal1}走过去，看见小星星正在哭。",
		"“我是星星，我想回家。”小星星说。|小星星说：“我找不到回天上的路了。”",
		"{animal1}爬上最高的山，可是还够不着天空。|{animal1}把它举得很高，可是天空太远了。",
		"{animal2}想了一个办法：“我们请风来帮忙吧！”|{animal2}说：“也许大雁能帮助它。”",
		"风轻轻地吹，小星星慢慢地飞上了天。|小星星越飞越高，终于回到了天上。",
		"从那以后，每天晚上，小星星都对{animal1}眨眼睛。|小星星说：“谢谢你们，我会给你们照亮回家的路。”",
	},
	{ // honesty
		"{day}，{child1}在屋子里踢球，把{elder}的花瓶打破了。|{child1}不小心打破了{elder}最喜欢的花瓶。",
		"{child1}很害怕，不知道怎么办。|{child1}的心怦怦地跳。",
		"“要是说是小猫打破的，就没有人怪我了。”{child1}想。|{child1}想把花瓶藏起来。",
		"{elder}回来了，问：“花瓶怎么破了？”|门开了，{elder}走了进来。",
		"{child1}低下头说：“对不起，是我打破的。”|{child1}想了想，还是说了真话：“是我不小心打破的。”",
		"{elder}没有生气，摸摸{child1}的头。|{elder}说：“你说了真话，我很高兴。”",
		"后来，{child1}用自己的零钱买了一个新的花瓶。|他们一起把地扫干净，又在新的花瓶里放上了{colour}的花。",
		"{child1}觉得，说真话，心里真轻松。|从那以后，{child1}做错了事，总是自己说出来。",
	},
}

// requests ask for a story, those of about for one with a thing or somebody in it.
var (
	requests = []string{
		"讲个故事", "讲一个故事", "给我讲个故事", "给我讲一个故事吧", "请讲一个故事", "写一个故事", "写个小故事", "请写一个短故事", "讲个睡前故事",
		"写一个童话故事", "讲一个童话", "我想听故事", "说个故事吧", "能给我讲个故事吗？", "给孩子讲一个故事", "写一篇童话", "再讲一个故事", "来一个小故事",
	}
	about = []string{
		"讲一个关于X的故事", "给我讲一个X的故事", "写一个关于X的故事", "写一篇关于X的小故事", "请讲一个X的故事", "我想听X的故事", "写一个关于X的童话",
		"讲个X的故事吧", "以“X”为题写一个小故事", "请写一个短故事，里面有X", "能讲一个关于X的睡前故事吗？",
	}
)

type story struct {
	User string `json:"user"`
	Text string `json:"text"`
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	if err := errors.Join(write(out), out.Flush()); err != nil {
		log.Fatal(err)
	}
}

// write writes all stories, each once.
func write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	r := rand.New(rand.NewPCG(seed, 0))
	seen := map[string]bool{}
	for len(seen) < stories {
		s := compose(r, plots[r.IntN(len(plots))])
		if seen[s.Text] {
			continue
		}
		seen[s.Text] = true
		if err := enc.Encode(s); err != nil {
			return err
		}
	}
	return nil
}

// compose chooses the wordings and the words of a plot.
func compose(r *rand.Rand, plot []string) story {
	var text strings.Builder
	for _, part := range plot {
		wordings := strings.Split(part, "|")
		text.WriteString(wordings[r.IntN(len(wordings))])
	}
	filled := text.String()
	var named []string // what a request may be about
	for _, kind := range kinds {
		order := r.Perm(len(words[kind]))
		for i, number := range []string{"", "1", "2", "3"} {
			name, word := "{"+kind+number+"}", words[kind][order[max(0, i-1)%len(order)]]
			if strings.Contains(filled, name) {
				named = append(named, word)
				filled = strings.ReplaceAll(filled, name, word)
			}
		}
	}
	named = slices.DeleteFunc(named, func(w string) bool { return !slices.Contains(subjects, w) })
	return story{request(r, named), filled}
}

var (
	kinds    = slices.Sorted(maps.Keys(words))
	subjects = slices.Concat(words["animal"], words["slow"], words["child"], words["thing"], words["food"])
)

func request(r *rand.Rand, named []string) string {
	ask := requests[r.IntN(len(requests))]
	if len(named) > 0 && r.IntN(5) < 3 {
		ask = strings.ReplaceAll(about[r.IntN(len(about))], "X", named[r.IntN(len(named))])
	}
	if !strings.HasSuffix(ask, "？") {
		ask += []string{"", "", "。"}[r.IntN(3)]
	}
	return ask
}
